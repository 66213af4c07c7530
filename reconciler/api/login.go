package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"hangar/reconciler/session"
	"hangar/state"
)

const (
	sessionCookie = "hangar_session" // the id of a session
	loginCookie   = "hangar_login"   // what the login form must hold
	visitorKey    = "visitor"        // where a request keeps who sent it
)

// visitor is who looks at a page.
type visitor struct {
	Login string
	CSRF  string // what the forms on the page hold; empty: there are none
	id    string // of the session
}

// May says whether the visitor may press buttons.
func (v visitor) May() bool { return v.CSRF != "" }

func visitorOf(c *gin.Context) (visitor, bool) {
	v, ok := c.Get(visitorKey)
	if !ok {
		return visitor{}, false
	}
	return v.(visitor), true
}

func (a *API) enter(c *gin.Context, v visitor) {
	c.Set(visitorKey, v)
	c.Set(loginKey, v.Login)
}

// recognize says whether a request comes with a session, and keeps whose it is.
func (a *API) recognize(c *gin.Context) bool {
	id, err := c.Cookie(sessionCookie)
	if err != nil {
		return false
	}
	s, ok := a.sessionOf(c.Request.Context(), id)
	if ok {
		a.enter(c, visitor{Login: s.Login, CSRF: s.CSRF, id: id})
	}
	return ok
}

// stillTime bounds how long a page waits for Drone to say who is an admin.
const stillTime = 2 * time.Second

// sessionOf returns the session of that id. It ends when Drone says that its owner
// is no admin any more, which is asked once a minute; that Drone does not answer
// ends none.
func (a *API) sessionOf(ctx context.Context, id string) (session.Session, bool) {
	s, ok := a.Pages.sessions.Find(id)
	if !ok || !a.Pages.sessions.Due(id) {
		return s, ok
	}
	ctx, cancel := context.WithTimeout(ctx, stillTime)
	defer cancel()
	if state.CodeOf(a.gate.Still(ctx, s.Login)) == state.Forbidden {
		a.Pages.sessions.End(id)
		return s, false
	}
	return s, true
}

// identify lets those pass who have logged in, or who know the pages' password;
// the others are led to the login.
func (a *API) identify(c *gin.Context) {
	p := a.Pages
	if a.recognize(c) {
		return
	}
	if p.Password == "" {
		to := a.at("/ui/login")
		if c.Request.Method == http.MethodGet && c.Request.URL.Path != a.at("/ui") {
			to += "?to=" + url.QueryEscape(c.Request.URL.RequestURI())
		}
		c.Redirect(http.StatusSeeOther, to)
		c.Abort()
		return
	}
	name, password, shown := c.Request.BasicAuth()
	if shown {
		if a.tooOften(c) {
			return
		}
		if session.Same(name, p.Username) && session.Same(password, p.Password) {
			a.enter(c, visitor{Login: name})
			return
		}
		a.wrong(c)
	}
	c.Header("WWW-Authenticate", fmt.Sprintf("Basic realm=%q, charset=\"UTF-8\"", p.Realm))
	a.askLogin(c, http.StatusUnauthorized, "")
}

// sameSite refuses what another site's page sends.
func (a *API) sameSite(c *gin.Context) {
	if err := a.Pages.guard.Check(c.Request); err != nil {
		a.failPage(c, state.Errorf(state.Forbidden, "this was sent from another site's page; open hangar's own page and try again there"))
	}
}

// mayPress lets those pass who may press buttons, with the form of their own
// session.
func (a *API) mayPress(c *gin.Context) {
	switch v, _ := visitorOf(c); {
	case !v.May():
		a.failPage(c, state.Errorf(state.Forbidden, "the user of DRONE_UI_USERNAME may only read; log in with the token of a Drone admin to change something"))
	case !session.Same(c.PostForm("csrf"), v.CSRF):
		a.failPage(c, state.Errorf(state.Forbidden, "this form is of an earlier login; go back, load the page again and try once more"))
	}
}

// caller is who is slowed down: the address that a request comes from, of IPv6 the
// network, since whoever has one address has all of that.
func caller(c *gin.Context) string {
	from, err := netip.ParseAddrPort(c.Request.RemoteAddr)
	if err != nil {
		return c.Request.RemoteAddr
	}
	address := from.Addr().Unmap()
	if address.Is4() {
		return address.String()
	}
	return netip.PrefixFrom(address, 64).Masked().String()
}

// tooOften answers a caller who has been wrong too often.
func (a *API) tooOften(c *gin.Context) bool {
	ok, wait := a.Pages.throttle.Allowed(caller(c))
	if !ok {
		seconds := int(math.Ceil(wait.Seconds()))
		c.Header("Retry-After", fmt.Sprint(seconds))
		a.askLogin(c, http.StatusTooManyRequests, fmt.Sprintf("That was wrong too often. Try again in %d seconds.", seconds))
	}
	return !ok
}

func (a *API) wrong(c *gin.Context) {
	a.Pages.throttle.Wrong(caller(c))
	a.Log.WarnContext(c.Request.Context(), "a login to the pages was refused", "address", caller(c))
}

// asked is what the login page shows.
type asked struct {
	CSRF, To, Error string
	Basic           bool // there is a password of the pages, too
}

func (a *API) showLogin(c *gin.Context) {
	switch once := c.Query("once"); {
	case once == "" || c.Request.Method != http.MethodGet: // a HEAD only looks
		a.askLogin(c, http.StatusOK, "")
	case a.tooOften(c):
	case a.Pages.Invitation != nil && a.Pages.Invitation.Take(once, time.Now()):
		a.admit(c, a.Pages.Invitation.Login, "")
	default:
		a.wrong(c)
		a.askLogin(c, http.StatusUnauthorized, "This way in has been used, or is too old. Sign in with the token.")
	}
}

// askLogin answers the login page.
func (a *API) askLogin(c *gin.Context, status int, wrong string) {
	secret, err := c.Cookie(loginCookie)
	if err != nil || len(secret) < 26 {
		secret = rand.Text()
		a.setCookie(c, loginCookie, secret, 0)
	}
	to := c.Query("to")
	if to == "" {
		to = c.PostForm("to")
	}
	a.show(c, status, "login", view{Title: "Sign in", Body: asked{CSRF: secret, To: to, Error: wrong, Basic: a.Pages.Password != ""}})
	c.Abort()
}

// login begins a session for who shows the token of a Drone admin.
func (a *API) login(c *gin.Context) {
	secret, err := c.Cookie(loginCookie)
	if err != nil || !session.Same(secret, c.PostForm("csrf")) {
		a.askLogin(c, http.StatusForbidden, "This form is too old. Try again.")
		return
	}
	if a.tooOften(c) {
		return
	}
	name, err := a.gate.Admin(c.Request.Context(), strings.TrimSpace(c.PostForm("token")))
	switch state.CodeOf(err) {
	case "":
		if err != nil {
			a.failPage(c, err)
			return
		}
	case state.Unauthorized:
		a.wrong(c)
		a.askLogin(c, http.StatusUnauthorized, "Drone does not know this token. It is on your account page in Drone.")
		return
	case state.Forbidden:
		a.wrong(c)
		a.askLogin(c, http.StatusForbidden, "This token is not that of a Drone admin. Ask one to let you in.")
		return
	default:
		a.logFailure(c, err)
		a.askLogin(c, http.StatusServiceUnavailable, "Drone does not tell whose token this is; hangar's log says why. Try again when Drone answers.")
		return
	}
	a.admit(c, name, c.PostForm("to"))
}

// admit begins a session, in place of the one that the browser had, and leads to
// where its owner wanted.
func (a *API) admit(c *gin.Context, login, to string) {
	if id, err := c.Cookie(sessionCookie); err == nil {
		a.Pages.sessions.End(id)
	}
	a.setCookie(c, sessionCookie, a.Pages.sessions.Begin(login), int(session.Lasts.Seconds()))
	c.Set(loginKey, login)
	a.audit(c, "logged in to the pages")
	c.Redirect(http.StatusSeeOther, a.back(to))
}

// back is where a login leads: a page of ours, whatever the form says.
func (a *API) back(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(path.Clean(u.Path), a.at("/ui/")) {
		return a.at("/ui")
	}
	return u.RequestURI()
}

func (a *API) logout(c *gin.Context) {
	v, _ := visitorOf(c)
	a.Pages.sessions.End(v.id)
	a.setCookie(c, sessionCookie, "", -1)
	a.audit(c, "logged out of the pages")
	c.Redirect(http.StatusSeeOther, a.at("/ui/login"))
}

// setCookie sets a cookie that no script and no other site gets. It goes over
// TLS only where the request came so, here or to a proxy before us.
func (a *API) setCookie(c *gin.Context, name, value string, age int) {
	proto, _, _ := strings.Cut(c.GetHeader("X-Forwarded-Proto"), ",") // the first of several proxies
	http.SetCookie(c.Writer, &http.Cookie{
		Name: name, Value: value, Path: a.at("/ui"), MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: c.Request.TLS != nil || strings.EqualFold(strings.TrimSpace(proto), "https"),
	})
}
