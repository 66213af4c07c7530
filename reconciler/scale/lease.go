package scale

import (
	"fmt"
	"time"

	"hangar/state"
)

// MayLeave is the earliest instant, from at on, at which the pool's rules let a
// server go that has been idle since IdleSince, demand and minimum aside.
func MayLeave(s state.Server, p state.Pool, at time.Time) time.Time {
	t, _ := lease(&s, first(s.IdleSince, at), &p, at)
	return t
}

// mayLeave is the earliest instant, from at on, at which the pool's rules let
// an idle server go: it has been idle for Idle, is MinAge old, and, where there
// is a billing period, is in the closing minutes of a paid one.
func mayLeave(m *member, p *state.Pool, at time.Time) time.Time {
	t, _ := lease(m.server, m.decision.IdleSince, p, at)
	return t
}

// lease is mayLeave for a server that has been idle since an instant, with what
// sets its end, in words.
func lease(s *state.Server, idle time.Time, p *state.Pool, at time.Time) (end time.Time, by string) {
	t, by := idle.Add(p.Idle), "idle for "+p.Idle.String()
	if old := s.Created.Add(p.MinAge); old.After(t) {
		t, by = old, p.MinAge.String()+" old"
	}
	if at.After(t) {
		t = at
	}
	if end = nextClosing(first(s.Started, s.Created), p.BillingPeriod, t); end.After(t) {
		by = fmt.Sprintf("in the closing minutes of a paid period of %s", p.BillingPeriod)
	}
	return end, by
}

// nextClosing is the first instant from t on that lies in the closing minutes
// of a billing period; periods are counted from start, when the server began to
// run. A period of zero is no period at all: every instant will do.
func nextClosing(start time.Time, period time.Duration, t time.Time) time.Time {
	if period <= 0 {
		return t
	}
	if t.Before(start) {
		t = start
	}
	into := t.Sub(start) % period
	return t.Add(max(0, period-closing(period)-into))
}

// closing is how long the closing minutes of a period last: a twelfth of it, 5
// minutes of an hour, but at least 2 minutes, in which a server is drained and
// destroyed with ease, and at most 10, beyond which paid time would be wasted.
func closing(period time.Duration) time.Duration {
	return min(period, max(2*time.Minute, min(period/12, 10*time.Minute)))
}
