package simulator

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// metalClient asks the Metal API as the real provider does, whose client is
// equinix-sdk-go on go-retryablehttp: connection errors, 429 and 5xx but 501
// are tried again, POST not excepted.
type metalClient struct {
	base    string // with /metal/v1
	token   string
	retries int
	waits   Waits
	http    *http.Client
}

// apiError is an answer that is no success.
type apiError struct {
	status  int
	line    string   // the status with its words
	asked   string   // method and URL
	Message string   `json:"error"`
	Several []string `json:"errors"`
}

// Error words the answer as equinix-sdk-go does: its status, then what it says.
func (e *apiError) Error() string {
	several := e.Several
	if e.Message != "" {
		several = append(slices.Clone(several), e.Message)
	}
	return strings.TrimSpace(e.line + " " + strings.Join(several, ", "))
}

// packngo words the answer as packngo does, by which the provider still asks for
// places and plans.
func (e *apiError) packngo() string {
	return fmt.Sprintf("%s: %d %s %s", e.asked, e.status, strings.Join(e.Several, ", "), e.Message)
}

// answered says whether an error is an answer of the API with one of the
// given statuses.
func answered(err error, statuses ...int) bool {
	var e *apiError
	return errors.As(err, &e) && slices.Contains(statuses, e.status)
}

// call sends a request and reads the answer into out, which may be nil. An
// error is an *apiError if the API answered.
func (c *metalClient) call(ctx context.Context, method, path string, body, out any) error {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return err
		}
	}
	wait := c.waits.FirstRetry
	for try := 0; ; try++ {
		again, err := c.once(ctx, method, path, payload, out)
		if !again {
			return err
		}
		if try == c.retries {
			err = cmp.Or(err, errors.New("no better answer"))
			return fmt.Errorf("%s %s giving up after %d attempt(s): %w", method, c.base+path, try+1, err)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, c.waits.MaxRetry)
	}
}

// once sends a request a single time, and says whether to do it again.
func (c *metalClient) once(ctx context.Context, method, path string, payload []byte, out any) (again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(payload))
	if err != nil {
		return false, err
	}
	request.Header.Set("X-Auth-Token", c.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return ctx.Err() == nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return false, err
	}
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests, status >= 500 && status != http.StatusNotImplemented:
		return true, nil
	case status >= 300:
		wrong := &apiError{status: status, line: response.Status, asked: method + " " + c.base + path}
		_ = json.Unmarshal(answer, wrong) // an answer that is no JSON says nothing
		return false, wrong
	case out == nil || len(answer) == 0:
		return false, nil
	}
	return false, json.Unmarshal(answer, out)
}

// sleep waits, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
