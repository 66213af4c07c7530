package scale

import (
	"time"

	"hangar/state"
)

// mayLeave is the earliest instant, from at on, at which the pool's rules let
// an idle server go: it has been idle for Idle, is MinAge old, and, where there
// is a billing period, is in the closing minutes of a paid one.
func mayLeave(m *member, p *state.Pool, at time.Time) time.Time {
	t := m.decision.IdleSince.Add(p.Idle)
	if old := m.server.Created.Add(p.MinAge); old.After(t) {
		t = old
	}
	if at.After(t) {
		t = at
	}
	return nextClosing(first(m.server.Started, m.server.Created), p.BillingPeriod, t)
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
