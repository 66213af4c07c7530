package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// loginKey is where a request keeps the login of the admin who sent it.
const loginKey = "login"

// trace logs each request at debug level, without its query and headers:
// people put tokens there.
func (a *API) trace(c *gin.Context) {
	start := time.Now()
	c.Next()
	a.Log.DebugContext(c.Request.Context(), "request",
		"method", c.Request.Method, "path", c.Request.URL.Path, "status", c.Writer.Status(),
		"duration", time.Since(start), "by", c.GetString(loginKey))
}

// recovered logs a panic and answers 500. An answer that has begun cannot be
// mended: its connection is closed instead, so that nobody takes it for whole.
func (a *API) recovered(c *gin.Context) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if cause == http.ErrAbortHandler {
			panic(cause)
		}
		a.Log.ErrorContext(c.Request.Context(), "request panicked",
			"method", c.Request.Method, "path", c.Request.URL.Path, "error", cause, "stack_trace", string(debug.Stack()))
		if c.Writer.Written() {
			panic(http.ErrAbortHandler)
		}
		a.refuse(c, http.StatusInternalServerError, "That did not work", unforeseen)
	}()
	c.Next()
}

// protect forbids browsers and proxies to guess about answers or to keep them.
func protect(c *gin.Context) {
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Cache-Control", "no-store")
}

// bounded refuses a body that says itself that it is too large; one that does
// not say so is cut off where it is read.
func bounded(c *gin.Context) {
	if c.Request.ContentLength > maxBody {
		answer(c, http.StatusRequestEntityTooLarge, "the body of a request may have 1 MiB")
	}
}

// authorize lets the admins of Drone pass.
func (a *API) authorize(c *gin.Context) {
	token, ok := bearer(c.GetHeader("Authorization"))
	if !ok {
		answer(c, http.StatusUnauthorized, "the token of a Drone admin is wanted: Authorization: Bearer <token>")
		return
	}
	login, err := a.gate.Admin(c.Request.Context(), token)
	if state.CodeOf(err) == state.Unavailable {
		// Why, and where Drone is, is not for callers that nobody knows.
		a.logFailure(c, err)
		answer(c, http.StatusServiceUnavailable, "Drone does not tell whose token this is; hangar's log says why")
		return
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Set(loginKey, login)
}

// scraper lets those pass who may read the metrics.
func (a *API) scraper(c *gin.Context) {
	if a.MetricsToken == "" {
		a.authorize(c)
		return
	}
	token, _ := bearer(c.GetHeader("Authorization"))
	// Of their hashes, so that not even the length of the token can be timed.
	shown, wanted := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(a.MetricsToken))
	if subtle.ConstantTimeCompare(shown[:], wanted[:]) != 1 {
		answer(c, http.StatusUnauthorized, "the token of DRONE_PROMETHEUS_AUTH_TOKEN is wanted: Authorization: Bearer <token>")
	}
}

// bearer takes the token from an Authorization header (RFC 6750). A token in
// the URL would lie in logs and histories: it does not count.
func bearer(header string) (string, bool) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// audit logs what a person asked for, and who it was.
func (a *API) audit(c *gin.Context, what string, attributes ...any) {
	a.Log.InfoContext(c.Request.Context(), what, append(attributes, "by", c.GetString(loginKey))...)
}
