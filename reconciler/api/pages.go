package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"hangar/reconciler/session"
	"hangar/state"
	"hangar/templates"
)

// Pages is what the pages need beyond what REST does. The admins of Drone log in
// to them; who knows Username and Password may read them.
type Pages struct {
	Store  PageStore
	Pools  Roster
	States StateTeller
	Unread func() time.Duration // for how long the queue has not been read
	Wait   func() time.Duration // for how long the stage that waits longest has waited

	Username, Password, Realm string // of HTTP Basic; without a password there is no such login

	// Invitation lets the first one in who shows its token as ?once= of the login.
	// Nil: nobody is invited.
	Invitation *session.Invitation

	sessions *session.Sessions
	throttle *session.Throttle
	guard    *http.CrossOriginProtection
	files    templates.PageFiles
	layouts  map[string]*template.Template
}

// PageStore is what the pages read of the records beyond what REST does.
type PageStore interface {
	// Snapshot returns what is at an instant.
	Snapshot(ctx context.Context, now time.Time) (state.Snapshot, error)
	// Unfinished returns the runs that have not ended.
	Unfinished(ctx context.Context) ([]state.Run, error)
	// CreateTimes returns the median time that a pool's newest creates took.
	CreateTimes(ctx context.Context) (map[string]time.Duration, error)
	// Samples returns the most that was sampled in each span, by time, then pool.
	Samples(ctx context.Context, since time.Time, step time.Duration) ([]state.Sample, error)
}

// Roster tells which pools there are at an instant.
type Roster interface {
	At(t time.Time) state.Roster
}

// StateTeller tells what recorded Terraform states say, secrets masked.
type StateTeller interface {
	// Show tells all of a version, as terraform show does.
	Show(ctx context.Context, v state.StateVersion) (string, error)
	// Difference tells what changed; without a version before, from nothing.
	Difference(ctx context.Context, before *state.StateVersion, after state.StateVersion) (string, error)
}

// rows is how many items of a list one page shows.
const rows = 50

// policy lets a page load what hangar itself serves, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// pages adds the pages' routes.
func (a *API) pages(engine *gin.Engine, root *gin.RouterGroup) {
	p := a.Pages
	p.sessions, p.throttle, p.guard = session.New(), session.NewThrottle(), http.NewCrossOriginProtection()
	p.files = templates.Pages()
	p.layouts = p.files.Parse(a.pageFunctions())

	home := func(c *gin.Context) { c.Redirect(http.StatusFound, a.at("/ui")) }
	get(root, "/", home)
	if root.BasePath() != "/" {
		get(root, "", home)
	}
	open := root.Group("/ui", shielded)
	get(open, "/static/:file", a.showFile)
	get(open, "/login", a.showLogin)
	open.POST("/login", a.sameSite, a.login)

	ui := open.Group("", a.identify)
	get(ui, "", a.page("now", a.nowPage))
	get(ui, "/servers", a.page("servers", a.serversPage))
	get(ui, "/servers/:name", a.page("server", a.serverPage))
	get(ui, "/servers/:name/logs", a.page("logs", a.logsPage))
	get(ui, "/servers/:name/destroy", a.page("destroy", a.destroyPage))
	get(ui, "/runs", a.page("runs", a.runsPage))
	get(ui, "/runs/:id", a.page("run", a.runPage))
	get(ui, "/stacks", a.page("stacks", a.stacksPage))
	get(ui, "/stacks/:name", a.page("stack", a.stackPage))
	get(ui, "/stacks/:name/versions/:serial", a.page("version", a.versionPage))
	get(ui, "/findings", a.page("findings", a.findingsPage))
	ui.GET("/events", a.streamToPage)
	get(ui, "/decisions", a.page("decisions", a.decisionsPage))
	get(ui, "/rest", a.page("rest", a.restPage))

	buttons := ui.Group("", a.sameSite, a.mayPress)
	buttons.POST("/logout", a.logout)
	buttons.POST("/pause", a.press(a.pressPause))
	buttons.POST("/resume", a.press(a.pressResume))
	buttons.POST("/servers", a.press(a.pressCreate))
	buttons.POST("/servers/:name/destroy", a.press(a.pressDestroy))
	buttons.POST("/runs/:id/approve", a.press(a.pressApprove))
	buttons.POST("/runs/:id/discard", a.press(a.pressDiscard))
}

// at is a path of hangar's as browsers see it.
func (a *API) at(to string) string { return strings.TrimSuffix(path.Join("/", a.Root), "/") + to }

// shielded sets the headers that keep a page to itself.
func shielded(c *gin.Context) {
	c.Header("Content-Security-Policy", policy)
	c.Header("Referrer-Policy", "same-origin")
}

// view is what a page shows: what its template gets.
type view struct {
	Title   string
	Here    string // which entry of the menu it belongs to
	Live    bool   // it refreshes itself
	Visitor visitor
	Body    any
}

// page makes a handler of a function that gathers what a page shows.
func (a *API) page(layout string, gather func(*gin.Context) (view, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		v, err := gather(c)
		if err != nil {
			a.failPage(c, err)
			return
		}
		a.show(c, http.StatusOK, layout, v)
	}
}

// show answers a page, or that it is still as the caller knows it.
func (a *API) show(c *gin.Context, status int, layout string, v view) {
	v.Visitor, _ = visitorOf(c)
	var body bytes.Buffer
	if err := a.Pages.layouts[layout].Execute(&body, v); err != nil {
		a.logFailure(c, err)
		answer(c, http.StatusInternalServerError, unforeseen)
		return
	}
	if status == http.StatusOK {
		sum := sha256.Sum256(body.Bytes())
		tag := `"` + hex.EncodeToString(sum[:12]) + `"`
		c.Header("ETag", tag)
		if c.GetHeader("If-None-Match") == tag {
			c.Status(http.StatusNotModified)
			return
		}
	}
	c.Data(status, "text/html; charset=utf-8", body.Bytes())
	c.Abort()
}

// failed is what the page of an error shows.
type failed struct {
	Status  int
	Message string
}

// failPage answers an error as a page. What has no code was not foreseen: the
// log tells it, the page does not.
func (a *API) failPage(c *gin.Context, err error) {
	status, message := http.StatusInternalServerError, unforeseen
	if known, ok := statuses[state.CodeOf(err)]; ok {
		status, message = known, err.Error()
	}
	if status >= http.StatusInternalServerError {
		a.logFailure(c, err)
	}
	a.show(c, status, "error", view{Title: "That did not work", Body: failed{status, message}})
}

// lost answers a path that there is not.
func (a *API) lost(c *gin.Context) {
	if a.isPage(c) {
		a.refuse(c, http.StatusNotFound, "There is no such page", "no page has this address; there may be a mistake in it")
		return
	}
	answer(c, http.StatusNotFound, "there is no such path")
}

// isPage says whether a request is for a page: people read its errors.
func (a *API) isPage(c *gin.Context) bool {
	return a.Pages != nil && strings.HasPrefix(c.Request.URL.Path+"/", a.at("/ui/"))
}

// refuse answers an error before any page, or REST, could.
func (a *API) refuse(c *gin.Context, status int, title, message string) {
	if !a.isPage(c) {
		answer(c, status, message)
		return
	}
	shielded(c)
	a.recognize(c)
	a.show(c, status, "error", view{Title: title, Body: failed{status, message}})
}

// showFile answers the style sheet, the script and the icon. Their URLs change
// with what they hold.
func (a *API) showFile(c *gin.Context) {
	text, kind := a.Pages.files.File(c.Param("file"))
	if text == nil {
		answer(c, http.StatusNotFound, "there is no such file")
		return
	}
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	c.Data(http.StatusOK, kind, text)
}

// press makes a handler of a button: a function that does what it says and
// returns the page to go on with.
func (a *API) press(do func(*gin.Context) (next string, err error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		next, err := do(c)
		if err != nil {
			a.failPage(c, err)
			return
		}
		c.Redirect(http.StatusSeeOther, a.at(next))
	}
}
