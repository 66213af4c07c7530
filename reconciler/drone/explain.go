package drone

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"hangar/state"
)

// unavailable is the error for a Drone server that does not answer as Drone
// does. What others have a part in must be masked in problem already.
func (c *Client) unavailable(q question, cause error, problem string) error {
	at := c.url
	if u, err := url.Parse(c.url); err == nil {
		at = u.Redacted()
	}
	return &state.Error{
		Code:    state.Unavailable,
		Message: fmt.Sprintf("ask Drone at %s for %s: %s", at, q.path, problem),
		Err:     withoutToken(cause, q.token),
	}
}

// unreachable explains why no answer came.
func (c *Client) unreachable(ctx context.Context, q question, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("ask Drone for %s: %w", q.path, ctx.Err())
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // its method and address are told already
	}
	return c.unavailable(q, err, c.problem(err))
}

// problem puts a failed exchange into words that name the setting to look at.
func (c *Client) problem(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("the host name %q cannot be resolved; check DRONE_SERVER_HOST and the DNS", dns.Name)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not trusted; check DRONE_SERVER_HOST, or install its certificate authority where hangar runs"
	}
	if timedOut(err) {
		return fmt.Sprintf("no answer in time (at most %s); check DRONE_SERVER_HOST, the network between, and whether Drone is overloaded", c.Timeout)
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused; check that Drone is running and that DRONE_SERVER_HOST names its port"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "it speaks plain HTTP; set DRONE_SERVER_PROTO=http, or DRONE_SERVER_HOST to its HTTPS port"
	case isTLS(err):
		return "no TLS connection comes about; check DRONE_SERVER_PROTO and the port in DRONE_SERVER_HOST"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was closed without an answer; check DRONE_SERVER_PROTO and the port in DRONE_SERVER_HOST"
	}
	return "it cannot be reached; check DRONE_SERVER_HOST and DRONE_SERVER_PROTO"
}

func timedOut(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout()
}

func isTLS(err error) bool {
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return record || alert
}

// refusal explains an answer whose status is not 200.
func (c *Client) refusal(q question, res *http.Response) error {
	if err, ok := q.denied[res.StatusCode]; ok {
		return err
	}
	switch status := res.StatusCode; {
	case status == http.StatusNotFound:
		return c.unavailable(q, nil, "404: there is no such path; DRONE_SERVER_HOST does not name a Drone server (it takes a host or host:port, without a path)")
	case status >= 300 && status < 400:
		return c.unavailable(q, nil, redirected(q, res))
	case status == http.StatusBadRequest && res.Request.URL.Scheme == "http":
		return c.unavailable(q, nil, "400: it does not understand the request; if it speaks HTTPS, set DRONE_SERVER_PROTO=https")
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		return c.unavailable(q, nil, fmt.Sprintf("%s: Drone, or a proxy before it, is not ready%s", describe(status), messageOf(q, res)))
	default:
		return c.unavailable(q, nil, fmt.Sprintf("it answers %s%s; Drone's own log says more", describe(status), messageOf(q, res)))
	}
}

// redirected explains a redirect. Where it leads is told without its query,
// which may hold secrets.
func redirected(q question, res *http.Response) string {
	to, err := res.Location()
	if err != nil {
		return fmt.Sprintf("it answers %s to nowhere; check DRONE_SERVER_HOST", describe(res.StatusCode))
	}
	from := res.Request.URL
	where := mask(fmt.Sprintf("it redirects to %s://%s%s", to.Scheme, to.Host, to.Path), q.token)
	switch {
	case to.Hostname() == from.Hostname() && to.Scheme != from.Scheme:
		return where + "; set DRONE_SERVER_PROTO=" + to.Scheme
	case strings.Contains(to.Path, "login") || strings.Contains(to.Path, "auth"):
		return where + ", which looks like a login page; DRONE_SERVER_HOST must name Drone itself, not a proxy that asks people to log in"
	}
	return where + "; set DRONE_SERVER_HOST to where Drone really is"
}

func describe(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}

// messageOf is the message of an error that Drone answers, quoted, or "".
func messageOf(q question, res *http.Response) string {
	var answer struct {
		Message string `json:"message"`
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if json.Unmarshal(body, &answer) != nil || answer.Message == "" {
		return ""
	}
	return fmt.Sprintf(" (%.*q)", maxMessage, mask(answer.Message, q.token))
}

// mask removes the token from a text that others may have a part in.
func mask(text, token string) string {
	if token == "" {
		return text
	}
	return strings.ReplaceAll(text, token, "***")
}

// masked is a cause whose text held the token.
type masked struct {
	error
	text string
}

func (m masked) Error() string { return m.text }
func (m masked) Unwrap() error { return m.error }

// withoutToken returns err, with the token masked in its text.
func withoutToken(err error, token string) error {
	if err == nil {
		return nil
	}
	if text := mask(err.Error(), token); text != err.Error() {
		return masked{err, text}
	}
	return err
}
