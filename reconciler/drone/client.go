// Package drone asks a Drone server for its build queue, and whose token a
// caller of our own API shows. It tells what goes wrong in words that name the
// setting to look at, and never repeats a token.
package drone

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"hangar/state"
)

// maxMessage bounds what is repeated of an error that Drone answers, in characters.
const maxMessage = 300

// Client speaks to one Drone server. It may be used concurrently; its fields
// are set before its first use.
type Client struct {
	Timeout time.Duration    // for one question, answer included; 30 s by default
	Now     func() time.Time // the clock by which the answers of Admin age
	HTTP    *http.Client     // must not follow redirects: they are explained, not obeyed

	url   string
	token string

	users  users
	asking singleflight.Group
}

// New returns a client for the Drone server at url (proto://host, the values
// of DRONE_SERVER_PROTO and DRONE_SERVER_HOST) with the token of an admin
// (DRONE_SERVER_TOKEN).
func New(url, token string) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 4
	return &Client{
		Timeout: 30 * time.Second,
		Now:     time.Now,
		HTTP: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		url:   strings.TrimRight(url, "/"),
		token: token,
	}
}

// question is one request to Drone's API.
type question struct {
	path   string
	method string // empty: GET
	token  string
	header string // that shows the token; empty: Authorization, as a bearer's
	limit  int64  // of the answer, in bytes
	// denied is what the statuses mean that depend on whose token is shown:
	// 401 and 403 at least.
	denied map[int]error
}

// ask sends q and decodes the answer, which must be the whole of one JSON
// value, into out. Its errors are of code Unauthorized, Forbidden or
// Unavailable; only when ctx itself was cancelled is there no code.
func (c *Client) ask(ctx context.Context, q question, out any) error {
	body, err := c.send(ctx, q)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return c.unavailable(q, err, "its answer is not what Drone's API answers; is DRONE_SERVER_HOST a Drone server?")
	}
	return nil
}

// send sends q and returns the answer, which is no web page. Its errors are
// those of ask.
func (c *Client) send(ctx context.Context, q question) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, cmp.Or(q.method, http.MethodGet), c.url+q.path, nil)
	if err != nil {
		return nil, state.Errorf(state.Unavailable, "ask Drone: DRONE_SERVER_HOST and DRONE_SERVER_PROTO do not make an address")
	}
	if q.header != "" {
		req.Header.Set(q.header, q.token)
	} else {
		req.Header.Set("Authorization", "Bearer "+q.token)
	}
	req.Header.Set("Accept", "application/json")

	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, q, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, c.refusal(q, res)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, q.limit+1))
	switch {
	case err != nil && (timedOut(err) || ctx.Err() != nil):
		return nil, c.unreachable(ctx, q, err)
	case err != nil:
		return nil, c.unavailable(q, err, "its answer broke off")
	case int64(len(body)) > q.limit:
		return nil, c.unavailable(q, nil, fmt.Sprintf("its answer is larger than %d MiB", q.limit>>20))
	case webPage(res, body):
		return nil, c.unavailable(q, nil, "it answers with a web page instead of JSON: "+
			"DRONE_SERVER_HOST must name the Drone server itself (host or host:port), not a proxy or login page before it")
	}
	return body, nil
}

// webPage says whether an answer is HTML: Drone's own pages answer unknown
// paths, and proxies show their login forms, with status 200.
func webPage(res *http.Response, body []byte) bool {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return kind == "text/html" || strings.HasPrefix(strings.TrimSpace(string(body[:min(len(body), 100)])), "<")
}
