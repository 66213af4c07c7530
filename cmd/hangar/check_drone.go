package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"hangar/reconciler/drone"
	"hangar/state"
)

// How far the clocks may be apart before that is told, and before it is wrong.
// Drone tells whole seconds.
const (
	clockWarn = 10 * time.Second
	clockFail = 5 * time.Minute
)

// drone asks Drone what hangar and its agents ask it.
func (d *doctor) drone() {
	client := drone.New(d.cfg.ServerURL(), d.cfg.ServerToken)
	client.Timeout = 15 * time.Second
	seen := &clockSeen{next: client.HTTP.Transport}
	client.HTTP.Transport = seen
	login, err := client.Admin(d.ctx, d.cfg.ServerToken)
	switch state.CodeOf(err) {
	case state.Unauthorized, state.Forbidden:
		d.ok("drone", "%s answers", d.cfg.ServerURL())
		d.fail("drone token", err.Error(), "set DRONE_SERVER_TOKEN to the token of an admin, from the account page of Drone")
		d.skip("drone queue", "it is read with that token")
	case "":
		if err == nil {
			d.ok("drone", "%s answers", d.cfg.ServerURL())
			d.ok("drone token", "it is that of the admin %s", login)
			d.queue(client)
			break
		}
		fallthrough
	default:
		d.fail("drone", err.Error(), "")
		d.skip("drone token", "Drone does not answer")
		d.skip("drone queue", "Drone does not answer")
		d.skip("agent secret", "Drone does not answer")
		d.skip("clock", "Drone does not answer")
		return
	}
	if err := client.Ping(d.ctx, d.cfg.AgentToken); err != nil {
		d.fail("agent secret", err.Error(), "")
	} else {
		d.ok("agent secret", "Drone accepts DRONE_AGENT_TOKEN, as a starting runner shows it (POST /rpc/v2/ping)")
	}
	d.clock(seen)
}

func (d *doctor) queue(client *drone.Client) {
	stages, err := client.Queue(d.ctx)
	if err != nil {
		d.fail("drone queue", err.Error(), "")
		return
	}
	d.ok("drone queue", "%s in it", plural(len(stages), "stage"))
}

// clock compares the clock here with Drone's.
func (d *doctor) clock(seen *clockSeen) {
	if seen.theirs.IsZero() {
		d.skip("clock", "Drone does not tell the time")
		return
	}
	apart := seen.here.Sub(seen.theirs).Round(time.Second)
	words := fmt.Sprintf("%s ahead of Drone's", apart)
	if apart < 0 {
		words = fmt.Sprintf("%s behind Drone's", -apart)
	}
	const fix = "let both machines keep the time by NTP: how long a stage waits and when a server may leave are told by these clocks"
	switch {
	case apart.Abs() > clockFail:
		d.fail("clock", words, fix)
	case apart.Abs() > clockWarn:
		d.warn("clock", words, fix)
	default:
		d.ok("clock", "as Drone's, within %s", clockWarn)
	}
}

// clockSeen notes what time it was here and there at the last answer.
type clockSeen struct {
	next         http.RoundTripper
	here, theirs time.Time // theirs is zero when it was not told
}

// RoundTrip reads the header Date of the answer.
func (c *clockSeen) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	answer, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	c.here = began.Add(time.Since(began) / 2)
	c.theirs, _ = http.ParseTime(answer.Header.Get("Date")) // zero when it is none
	return answer, nil
}

// patiently bounds what a check waits for terraform.
func patiently(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 5*time.Minute)
}
