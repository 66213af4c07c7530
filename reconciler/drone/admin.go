package drone

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/drone/drone-go/drone"

	"hangar/state"
)

const (
	userPath  = "/api/user"
	usersPath = "/api/users/"
	maxUser   = 1 << 20 // bytes

	trusted   = time.Minute     // for which an admin is not asked about again
	denied    = 5 * time.Second // for which anyone else is not: rights that were just given soon count
	maxTokens = 256             // remembered at once
)

// userDenied is what statuses mean for the token of a caller.
var userDenied = map[int]error{
	http.StatusUnauthorized: state.Errorf(state.Unauthorized, "Drone does not know this token"),
	http.StatusForbidden:    errNotAdmin,
}

// stillDenied is what statuses mean when hangar asks with its own token, of which
// the reads of the queue tell more.
var stillDenied = map[int]error{
	http.StatusUnauthorized: state.Errorf(state.Unavailable, "Drone does not know hangar's own token"),
	http.StatusForbidden:    state.Errorf(state.Unavailable, "hangar's own token is not that of a Drone admin"),
	http.StatusNotFound:     state.Errorf(state.Forbidden, "Drone does not know this user any more"),
}

var errNotAdmin = state.Errorf(state.Forbidden, "this token is not that of a Drone admin")

// Admin returns the login of the Drone admin whose token it is. Drone is
// asked (GET /api/user, with that token), its answer is remembered for up to a
// minute, and simultaneous questions about one token become one. The error is
// Unauthorized for a bad token, Forbidden for that of another user, and
// Unavailable when Drone does not answer.
func (c *Client) Admin(ctx context.Context, token string) (string, error) {
	if !wellFormed(token) {
		return "", userDenied[http.StatusUnauthorized]
	}
	return c.remembered(ctx, question{path: userPath, token: token, limit: maxUser, denied: userDenied})
}

// Still says whether a login is that of an admin now: nil. Drone is asked (GET
// /api/users/LOGIN, with hangar's own token) and remembered as by Admin. The error
// is Forbidden when it is not, and Unavailable when Drone does not tell.
func (c *Client) Still(ctx context.Context, login string) error {
	_, err := c.remembered(ctx, question{path: usersPath + url.PathEscape(login), token: c.token, limit: maxUser, denied: stillDenied})
	return err
}

// remembered returns the login of the admin for whom q asks, as Drone answered it
// lately, or answers it now.
func (c *Client) remembered(ctx context.Context, q question) (string, error) {
	key := sha256.Sum256([]byte(q.path + " " + q.token))
	if a, ok := c.users.find(key, c.Now()); ok {
		return a.login, a.err
	}
	// The question outlives the caller who asked it first: others wait too.
	answers := c.asking.DoChan(string(key[:]), func() (any, error) {
		asked := c.Now()
		login, err := c.user(context.WithoutCancel(ctx), q)
		c.users.remember(key, answer{login: login, err: err}, asked)
		return login, err
	})
	select {
	case a := <-answers:
		return a.Val.(string), a.Err
	case <-ctx.Done():
		return "", fmt.Errorf("ask Drone for %s: %w", q.path, ctx.Err())
	}
}

// user asks Drone who an admin is.
func (c *Client) user(ctx context.Context, q question) (string, error) {
	var u drone.User
	if err := c.ask(ctx, q, &u); err != nil {
		return "", err
	}
	switch {
	case u.Login == "":
		return "", c.unavailable(q, nil, "its answer names no user; is DRONE_SERVER_HOST a Drone server?")
	case !u.Admin:
		return "", errNotAdmin
	}
	return u.Login, nil
}

// wellFormed says whether a token can stand in a header.
func wellFormed(token string) bool {
	for _, b := range []byte(token) {
		if b <= ' ' || b >= 0x7f {
			return false
		}
	}
	return token != ""
}

// answer is what Drone said of a token.
type answer struct {
	login   string
	err     error
	expires time.Time
}

// users remembers answers by the SHA-256 of question and token, so that no token is
// kept in memory longer than its request.
type users struct {
	mu      sync.Mutex
	answers map[[sha256.Size]byte]answer
}

func (u *users) find(key [sha256.Size]byte, now time.Time) (answer, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	a, ok := u.answers[key]
	return a, ok && now.Before(a.expires)
}

// remember keeps what Drone was asked at that time, unless Drone did not
// answer.
func (u *users) remember(key [sha256.Size]byte, a answer, asked time.Time) {
	switch state.CodeOf(a.err) {
	case state.Unauthorized, state.Forbidden:
		a.expires = asked.Add(denied)
	default:
		if a.err != nil {
			return
		}
		a.expires = asked.Add(trusted)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.answers == nil {
		u.answers = make(map[[sha256.Size]byte]answer)
	}
	if _, known := u.answers[key]; !known && len(u.answers) >= maxTokens {
		delete(u.answers, u.soonest())
	}
	u.answers[key] = a
}

// soonest is the answer that expires first: the denied ones go before the
// trusted ones, so that a flood of bad tokens does not push admins out.
func (u *users) soonest() (key [sha256.Size]byte) {
	var expires time.Time
	for k, a := range u.answers {
		if expires.IsZero() || a.expires.Before(expires) {
			key, expires = k, a.expires
		}
	}
	return key
}
