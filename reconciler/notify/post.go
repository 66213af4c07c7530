package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hangar/state"
)

// newClient follows no redirect: an event and its signature are for the target
// that was set.
func newClient() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// refusal is an answer that another try would not change.
type refusal struct{ answer string }

func (r *refusal) Error() string { return r.answer }

// later is an answer that asks for a pause.
type later struct {
	answer string
	wait   time.Duration
}

func (l *later) Error() string { return l.answer }

// lastWords is how long a request that is under way may take when hangar stops:
// what is cut off is told once more at the next start.
const lastWords = 2 * time.Second

// post tells a target of an event. Any answer below 300 is well. An error never
// holds the URL, which is a credential, nor what the target answered.
func (t *teller) post(ctx context.Context, e state.Event) error {
	body, header, err := t.Message(e, t.Now())
	if err != nil {
		return &refusal{err.Error()}
	}
	request, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.Timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })()
	r, err := http.NewRequestWithContext(request, http.MethodPost, t.URL, bytes.NewReader(body))
	if err != nil {
		return &refusal{"its URL cannot be used"}
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "hangar")
	answer, err := t.client.Do(r)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("it did not answer within %s", t.Timeout)
	}
	if err != nil {
		return errors.New(t.hide(err))
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	return judge(answer, t.Now())
}

// hide returns what an error of net/http says, without the URL, which it
// prints, and without the host's name, which can be a credential too.
func (t *teller) hide(err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	text := err.Error()
	if u, err := url.Parse(t.URL); err == nil && u.Hostname() != "" {
		text = strings.ReplaceAll(text, u.Hostname(), "its host")
	}
	return text
}

// judge says what an answer means: nil for told. 408, 429 and 5xx pass; any
// other answer, redirects among them, would be the same another time.
func judge(answer *http.Response, now time.Time) error {
	code := answer.StatusCode
	said := strings.TrimSpace(fmt.Sprintf("it answered %d %s", code, http.StatusText(code)))
	switch {
	case code < 300:
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		return &later{said, retryAfter(answer.Header.Get("Retry-After"), now)}
	}
	return &refusal{said}
}

// retryAfter is the pause for which a target asks: a number of seconds or a
// date (RFC 9110, section 10.2.3); zero for none.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
