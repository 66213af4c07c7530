package drone

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hangar/state"
)

// realm is a Drone server that knows users by their tokens and counts what it
// is asked.
type realm struct {
	mu    sync.Mutex
	users map[string]string // token -> answer
	down  bool
	asked int
}

func (r *realm) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	user, known := r.users[req.Header.Get("Authorization")]
	switch {
	case req.URL.Path != "/api/user":
		http.NotFound(w, req)
	case r.down:
		w.WriteHeader(http.StatusBadGateway)
	case !known:
		answers(401, "application/json", `{"message":"Unauthorized"}`)(w, req)
	default:
		answers(200, "application/json", user)(w, req)
	}
}

func (r *realm) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// clock is a time that tests move.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1e9, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func newRealm(t *testing.T) (*realm, *Client, *clock) {
	t.Helper()
	recorded, err := os.ReadFile("testdata/user-admin.json")
	if err != nil {
		t.Fatal(err)
	}
	r := &realm{users: map[string]string{
		"Bearer " + token: string(recorded),
		"Bearer guest":    `{"id":2,"login":"guest","admin":false,"active":true}`,
		"Bearer odd":      `{"admin":true}`,
		"Bearer page":     `<html>`,
		"Bearer long":     strings.Repeat(" ", maxUser) + string(recorded),
	}}
	client, c := serve(t, r.ServeHTTP), &clock{}
	client.Now = c.now
	return r, client, c
}

func TestAdmin(t *testing.T) {
	tests := []struct {
		name  string
		token string
		down  bool
		want  string
		code  state.Code
		words string
		asked int
	}{
		{name: "admin", token: token, want: "root", asked: 1},
		{name: "not an admin", token: "guest", code: state.Forbidden, words: "not that of a Drone admin", asked: 1},
		{name: "unknown", token: "nobody", code: state.Unauthorized, words: "does not know", asked: 1},
		{name: "no token", token: "", code: state.Unauthorized, asked: 0},
		{name: "no header value", token: "a\nb", code: state.Unauthorized, asked: 0},
		{name: "answer without a user", token: "odd", code: state.Unavailable, words: "names no user", asked: 1},
		{name: "answer is a page", token: "page", code: state.Unavailable, words: "web page", asked: 1},
		{name: "answer is too long", token: "long", code: state.Unavailable, words: "larger than 1 MiB", asked: 1},
		{name: "Drone is down", token: token, down: true, code: state.Unavailable, words: "502 Bad Gateway", asked: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			realm, client, _ := newRealm(t)
			realm.down = tt.down
			got, err := client.Admin(t.Context(), tt.token)
			if got != tt.want {
				t.Errorf("login %q, want %q", got, tt.want)
			}
			if tt.code == "" && err != nil {
				t.Error(err)
			}
			if tt.code != "" {
				wantError(t, err, tt.code, tt.words)
			}
			if realm.asked != tt.asked {
				t.Errorf("asked %d times, want %d", realm.asked, tt.asked)
			}
		})
	}
}

// Whether a login is still an admin's is asked with hangar's own token, whose own
// trouble says nothing about the login.
func TestStill(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		code   state.Code
	}{
		{"admin", 200, `{"login":"octo/cat","admin":true}`, ""},
		{"no admin any more", 200, `{"login":"octo/cat","admin":false}`, state.Forbidden},
		{"gone", 404, `{"message":"Not Found"}`, state.Forbidden},
		{"hangar's token is unknown", 401, `{"message":"Unauthorized"}`, state.Unavailable},
		{"hangar's token is no admin's", 403, `{"message":"Forbidden"}`, state.Unavailable},
		{"Drone is down", 502, ``, state.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := ""
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked = r.URL.EscapedPath() + " " + r.Header.Get("Authorization")
				answers(tt.status, "application/json", tt.body)(w, r)
			})
			if err := client.Still(t.Context(), "octo/cat"); state.CodeOf(err) != tt.code || tt.code == "" && err != nil {
				t.Errorf("%v, want code %q", err, tt.code)
			}
			if asked != "/api/users/octo%2Fcat Bearer "+token {
				t.Errorf("asked %s", asked)
			}
		})
	}
}

func TestAdminRemembers(t *testing.T) {
	tests := []struct {
		name  string
		token string
		down  bool
		after time.Duration
		asked int // in all, once it was asked twice, so much apart
	}{
		{name: "admin, within the minute", token: token, after: time.Minute - 1, asked: 1},
		{name: "admin, after a minute", token: token, after: time.Minute, asked: 2},
		{name: "not an admin, at once", token: "guest", after: denied - 1, asked: 1},
		{name: "not an admin, seconds later", token: "guest", after: denied, asked: 2},
		{name: "unknown, at once", token: "nobody", after: denied - 1, asked: 1},
		{name: "unknown, seconds later", token: "nobody", after: denied, asked: 2},
		{name: "Drone is down", token: token, down: true, after: 0, asked: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			realm, client, clock := newRealm(t)
			realm.down = tt.down
			login, err := client.Admin(t.Context(), tt.token)
			clock.advance(tt.after)
			again, errAgain := client.Admin(t.Context(), tt.token)
			if login != again || state.CodeOf(err) != state.CodeOf(errAgain) {
				t.Errorf("first %q, %v, then %q, %v", login, err, again, errAgain)
			}
			if realm.asked != tt.asked {
				t.Errorf("asked %d times, want %d", realm.asked, tt.asked)
			}
		})
	}
}

func TestAdminRevoked(t *testing.T) {
	realm, client, clock := newRealm(t)
	if _, err := client.Admin(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	realm.set(func() { delete(realm.users, "Bearer "+token) })
	clock.advance(time.Minute)
	_, err := client.Admin(t.Context(), token)
	wantError(t, err, state.Unauthorized)
}

func TestAdminRemembersNoMoreThanItMay(t *testing.T) {
	realm, client, clock := newRealm(t)
	if _, err := client.Admin(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxTokens {
		clock.advance(time.Millisecond)
		if _, err := client.Admin(t.Context(), fmt.Sprint("flood", i)); err == nil {
			t.Fatal("let in")
		}
	}
	if got := len(client.users.answers); got != maxTokens {
		t.Errorf("%d answers remembered, want %d", got, maxTokens)
	}
	before := realm.asked
	if _, err := client.Admin(t.Context(), token); err != nil || realm.asked != before {
		t.Errorf("the admin was pushed out by bad tokens: %v, asked %d more", err, realm.asked-before)
	}
}

func TestAdminAsksOnceForMany(t *testing.T) {
	var asked atomic.Int32
	arrived, release := make(chan struct{}), make(chan struct{})
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			close(arrived)
		}
		<-release
		answers(200, "application/json", `{"login":"root","admin":true}`)(w, r)
	})

	// The first caller leaves before the answer; those who wait get it still.
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := client.Admin(ctx, token)
		left <- err
	}()
	<-arrived
	var waiting sync.WaitGroup
	for range 8 {
		waiting.Go(func() {
			if login, err := client.Admin(t.Context(), token); login != "root" || err != nil {
				t.Errorf("got %q, %v", login, err)
			}
		})
	}
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller who left got %v", err)
	}
	close(release)
	waiting.Wait()
	if got := asked.Load(); got != 1 {
		t.Errorf("asked %d times, want once", got)
	}
}
