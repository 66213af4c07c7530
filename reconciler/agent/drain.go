package agent

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"hangar/state"
)

// Drain tells the runner to take no more work, finish what it has and end. It
// does not wait for that, and is to be repeated until Look shows the container
// gone: a runner that has ended, or was never there, is a success.
//
// The runner must not be told twice. It stops catching signals once it has
// caught one (github.com/drone/signal), so that a second SIGTERM ends it at
// once, and its builds with it. Docker's restart policy, which is set first, is
// the mark that it may have been told; where the mark is set but the signal may
// not have come through, a runner that still listens has not been told. It may
// take its time to stop listening, so that it is left alone for a while.
func (c *Client) Drain(ctx context.Context, h state.Host) error {
	return c.visit(ctx, "drain", h, func(t *turn) error {
		status, err := t.container(ctx)
		if err != nil || status == "" {
			return err
		}
		policy, found, err := t.docker(ctx, inspectPolicy)
		if err != nil || !found {
			return err
		}
		if policy != "no" {
			// Also when it has ended: docker would start it again.
			if _, found, err := t.docker(ctx, restartNever); err != nil || !found {
				return err
			}
		}
		if !atWork(status) {
			return nil
		}
		if policy == "no" {
			if listens, _, _, err := t.listens(ctx); err != nil || !listens {
				return err
			}
		}
		if !c.mayTell(h) {
			return nil
		}
		return t.tell(ctx)
	})
}

// tellAgain is how long a runner has to stop listening once it may have been
// told to end; builds may keep its machine busy.
const tellAgain = time.Minute

// mayTell says whether a runner may be told to end, and notes that it is being
// told: of two who drain at once, one tells it.
func (c *Client) mayTell(h state.Host) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	maps.DeleteFunc(c.told, func(_ state.Host, at time.Time) bool { return now.Sub(at) >= tellAgain })
	if _, lately := c.told[h]; lately {
		return false
	}
	c.told[h] = now
	return true
}

// tell sends the runner the signal to end: never docker stop, which kills it
// after ten seconds.
func (t *turn) tell(ctx context.Context) error {
	_, _, err := t.docker(ctx, terminate)
	if err != nil && strings.Contains(strings.ToLower(err.Error()), "is not running") && state.CodeOf(err) == "" {
		return nil // it ended in the meantime
	}
	return err
}

// Revive puts a server that was to be drained back to work. A runner that has
// been told to end takes no work again before it has ended: until then the
// error's code is Conflict. It is NotFound when there is no container to start.
func (c *Client) Revive(ctx context.Context, h state.Host) error {
	return c.visit(ctx, "put back to work", h, func(t *turn) error {
		status, err := t.container(ctx)
		if err != nil {
			return err
		}
		if atWork(status) {
			policy, _, err := t.docker(ctx, inspectPolicy)
			if err != nil {
				return err
			}
			if policy == "no" {
				return state.Errorf(state.Conflict, "its runner (%s) has been told to end and still finishes its work: it can be started again when it has ended", status)
			}
		}
		return t.startWith(ctx, restartAlways, start)
	})
}

// Restart repairs a server whose runner has ended: it starts it again. The
// error's code is NotFound when there is no container to start.
func (c *Client) Restart(ctx context.Context, h state.Host) error {
	return c.visit(ctx, "restart the runner of", h, func(t *turn) error { return t.startWith(ctx, start) })
}

func (t *turn) startWith(ctx context.Context, commands ...string) error {
	for _, command := range commands {
		switch _, found, err := t.docker(ctx, command); {
		case err != nil:
			return err
		case !found:
			return &state.Error{Code: state.NotFound, Message: "there is no runner to start", Err: fmt.Errorf("%s: no such container", command)}
		}
	}
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	delete(t.c.told, t.host) // it is another process now
	return nil
}
