package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// statuses is the HTTP status of each code; an error without one is 500.
var statuses = map[state.Code]int{
	state.Invalid:      http.StatusBadRequest,
	state.NotFound:     http.StatusNotFound,
	state.Conflict:     http.StatusConflict,
	state.Unauthorized: http.StatusUnauthorized,
	state.Forbidden:    http.StatusForbidden,
	state.Unavailable:  http.StatusServiceUnavailable,
}

// unforeseen is all that is told of an error without a code, and of a panic.
const unforeseen = "something went wrong inside hangar; its log says what"

// failure is the body of every answer that is an error.
type failure struct {
	Message string `json:"message"`
}

// fail answers an error. What has no code was not foreseen: the log tells it,
// the answer does not.
func (a *API) fail(c *gin.Context, err error) {
	status, message := http.StatusInternalServerError, unforeseen
	if known, ok := statuses[state.CodeOf(err)]; ok {
		status, message = known, err.Error()
	}
	if status >= http.StatusInternalServerError {
		a.logFailure(c, err)
	}
	answer(c, status, message)
}

// logFailure logs an error, unless it is only that the caller has gone.
func (a *API) logFailure(c *gin.Context, err error) {
	level := slog.LevelError
	if errors.Is(err, context.Canceled) {
		level = slog.LevelDebug
	}
	a.Log.Log(c.Request.Context(), level, "request failed",
		"method", c.Request.Method, "path", c.Request.URL.Path, "error", err)
}

// answer ends a request with an error.
func answer(c *gin.Context, status int, message string) {
	if status == http.StatusUnauthorized {
		c.Header("WWW-Authenticate", "Bearer")
	}
	c.AbortWithStatusJSON(status, failure{Message: message})
}
