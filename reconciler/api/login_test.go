package api

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"hangar/reconciler/session"
	"hangar/state"
)

var sessionID = regexp.MustCompile(sessionCookie + `=(\w+)`)

// Whoever logs in anew has one session: the one before is worth nothing to who
// may have got hold of it, and an id that a browser brings is never taken on.
func TestLoginBeginsAnew(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, nil)
	planted := "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	first := sessionID.FindStringSubmatch(b.login(token).header.Get("Set-Cookie"))[1]
	second := sessionID.FindStringSubmatch(b.login(token).header.Get("Set-Cookie"))[1]
	if first == second || b.get("/ui").status != 200 {
		t.Error("no new session")
	}
	stranger := visit(t, r, pools, nil)
	stranger.url = b.url
	for _, id := range []string{first, planted} {
		if got := stranger.get("/ui", "Cookie", sessionCookie+"="+id); got.status != 303 {
			t.Errorf("session %s opens a page: %d", id, got.status)
		}
	}
	if got := b.send("POST", "/ui/login", url.Values{"csrf": {b.csrf("/ui/login")}, "token": {token}}, "Cookie", sessionCookie+"="+planted); strings.Contains(got.header.Get("Set-Cookie"), planted) {
		t.Error("a planted session is taken on")
	}
	if got := b.get("/ui/nowhere"); got.status != 404 || !strings.Contains(got.body, `aria-label="Pages"`) {
		t.Errorf("a page that there is not leads nowhere: %d", got.status)
	}
}

// Looking whether there is something at an invitation does not take it.
func TestInvitationIsNotTakenByALook(t *testing.T) {
	r, pools := pooled()
	invitation, once := session.Invite("root", time.Now().Add(time.Minute))
	b := visit(t, r, pools, func(a *API) { a.Pages.Invitation = invitation })
	if got := b.send("HEAD", "/ui/login?once="+once, nil); got.status != 200 || sessionID.MatchString(got.header.Get("Set-Cookie")) {
		t.Errorf("a look answers %d", got.status)
	}
	if got := b.get("/ui/login?once=" + once); got.status != 303 {
		t.Errorf("then it is gone: %d", got.status)
	}
}

// Who has many addresses is one caller all the same.
func TestCaller(t *testing.T) {
	for from, want := range map[string]string{
		"203.0.113.7:1234": "203.0.113.7", "[::ffff:203.0.113.7]:1": "203.0.113.7", "[2001:db8:1:2:3::4]:1": "2001:db8:1:2::/64", "[2001:db8:1:2:ffff::]:2": "2001:db8:1:2::/64", "pipe": "pipe",
	} {
		if got := caller(&gin.Context{Request: &http.Request{RemoteAddr: from}}); got != want {
			t.Errorf("%s is %s, want %s", from, got, want)
		}
	}
}

// Who reads pages is told of every error by a page, with the way back.
func TestErrorsOfPagesArePages(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, func(a *API) { a.Pages.Unread = func() time.Duration { panic("lost its marbles") } }).in()
	for _, tt := range []struct {
		method, path string
		status       int
	}{{"GET", "/ui", 500}, {"GET", "/ui/pause", 405}, {"DELETE", "/ui", 405}, {"GET", "/ui/nowhere", 404}} {
		got := b.send(tt.method, tt.path, nil)
		if got.status != tt.status || !strings.Contains(got.body, "Back to what is now") || got.header.Get("Content-Security-Policy") != policy || strings.Contains(got.body, "marbles") {
			t.Errorf("%s %s: %+v", tt.method, tt.path, got)
		}
	}
	for _, path := range []string{"/uint", "/api/pause"} {
		if got := b.ask(t, "GET", path, ""); !strings.HasPrefix(got.body, `{"message"`) {
			t.Errorf("%s: %s", path, got.body)
		}
	}
}

// A stream ends when its session does, or when its token is no longer an
// admin's; not when Drone cannot say.
func TestStreamEndsWithItsLogin(t *testing.T) {
	r, pools := pooled()
	b := visit(t, r, pools, func(a *API) { a.streams.Beat = 10 * time.Millisecond }).in()
	still := func() int { b.streams.mu.Lock(); defer b.streams.mu.Unlock(); return b.streams.open }
	rest := b.follow(t, "")
	ended := make(chan struct{})
	csrf := b.csrf("/ui")
	go func() {
		defer close(ended)
		b.get("/ui/events")
	}()
	eventually(t, "both streams are open", func() bool { return still() == 2 })
	if got := b.send("POST", "/ui/logout", url.Values{"csrf": {csrf}}); got.status != 303 {
		t.Fatal(got)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the page's stream outlives its session")
	}
	doubt := func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.doubt = err
	}
	doubt(state.Errorf(state.Unavailable, "Drone is down"))
	for range 3 {
		rest.until(": ")
	}
	doubt(state.Errorf(state.Forbidden, "not an admin any more"))
	rest.ended()
}
