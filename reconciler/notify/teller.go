package notify

import (
	"context"
	"errors"
	"time"

	"hangar/state"
)

// teller tells one target.
type teller struct {
	*Notifier
	Target
	news chan struct{}

	failures int    // in a row
	trouble  string // the last of them, as it was logged; empty: none
	dropped  int    // events, since the first of them
}

// run tells what there is now, and whenever there is news, until ctx ends.
func (t *teller) run(ctx context.Context) {
	for {
		wait := t.tell(ctx)
		if ctx.Err() != nil {
			return
		}
		news := t.news
		var again <-chan time.Time
		if wait > 0 { // which news does not shorten
			news, again = nil, time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-news:
		case <-again:
		}
	}
}

// tell tells all that is to be told, and returns how long to wait before the
// next try; zero: nothing is left.
func (t *teller) tell(ctx context.Context) (wait time.Duration) {
	for ctx.Err() == nil {
		err := t.drop(ctx)
		var events []state.Event
		if err == nil {
			events, err = t.Store.News(ctx, t.Name, 50)
		}
		if err == nil && len(events) == 0 {
			return 0
		}
		if err == nil {
			err = t.tellAll(ctx, events)
		}
		if err != nil {
			return t.failed(ctx, err)
		}
	}
	return 0
}

// tellAll tells events, in order, up to the first that fails.
func (t *teller) tellAll(ctx context.Context, events []state.Event) error {
	told := int64(0)
	for _, e := range events {
		if !t.Wants(e) {
			continue
		}
		err := t.post(ctx, e)
		if refusal, ok := errors.AsType[*refusal](err); ok {
			t.Log.Error("a target refused an event, which is not told to it again", "target", t.Name, "event", e.Kind, "id", e.ID, "error", refusal)
			err = nil
		}
		if err != nil {
			return err
		}
		t.succeeded()
		told = e.Seq
		// Also when hangar stops: it was told.
		if err := t.Store.Told(context.WithoutCancel(ctx), t.Name, told); err != nil {
			return err
		}
	}
	if last := events[len(events)-1].Seq; last > told {
		return t.Store.Told(ctx, t.Name, last)
	}
	return nil
}

// drop gives up what is too old to be told.
func (t *teller) drop(ctx context.Context) error {
	n, last, err := t.Store.Overage(ctx, t.Name, t.Now().Add(-t.Keep))
	if err != nil || n == 0 {
		return err
	}
	if t.dropped == 0 {
		t.Log.Warn("events that could not be told for too long are dropped", "target", t.Name, "older_than", t.Keep, "events", n)
	}
	t.dropped += n
	return t.Store.Told(ctx, t.Name, last)
}

func (t *teller) succeeded() {
	if t.trouble != "" || t.dropped > 0 {
		t.Log.Info("events are told again", "target", t.Name, "dropped", t.dropped)
	}
	t.failures, t.trouble, t.dropped = 0, "", 0
}

// failed returns how long to wait after a failure: twice as long after each one
// in a row, and as long as the target asked for.
func (t *teller) failed(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	wait := t.RetryAtMost
	if t.failures < 20 {
		wait = min(wait, t.Retry<<t.failures)
	}
	t.failures++
	if later, ok := errors.AsType[*later](err); ok {
		wait = max(wait, min(later.wait, t.Keep))
	}
	if err.Error() != t.trouble {
		t.Log.Warn("events cannot be told; it is tried again", "target", t.Name, "error", err, "again_in", wait)
		t.trouble = err.Error()
	}
	return wait
}
