package scale

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"hangar/state"
)

// revive puts draining servers back to work while those that run are short:
// they are there at once, before any that is on its way, and cost no more than
// they do already. Those with the most
// room come first, so that few are needed, then the youngest.
func (f *fleet) revive() {
	revived := 0
	for _, m := range f.pick((*member).spare, func(a, b *member) int {
		return cmp.Or(cmp.Compare(b.free(), a.free()), b.server.Created.Compare(a.server.Created))
	}) {
		forMinimum := f.usable < f.pool.Min
		forDemand := f.ready < f.demand() && m.free() > 0
		if !forMinimum && !forDemand {
			break
		}
		f.move(m, state.Revive, "put back to work: "+f.need())
		revived++
	}
	if revived > 0 {
		f.report("put %s back to work", count(revived, "draining server"))
	}
}

// need is what a fleet that is short wants servers for.
func (f *fleet) need() string {
	if f.ready < f.demand() {
		return f.wants()
	}
	return fmt.Sprintf("the minimum is %d", f.pool.Min)
}

// wants is the demand, in words.
func (f *fleet) wants() string {
	switch {
	case f.pool.Buffer == 0:
		return fmt.Sprintf("%d waiting", f.waiting)
	case f.waiting == 0:
		return fmt.Sprintf("a buffer of %d", f.pool.Buffer)
	}
	return fmt.Sprintf("%d waiting and a buffer of %d", f.waiting, f.pool.Buffer)
}

// grow decides how many servers are to be made, and where, or names what keeps
// the fleet from it.
func (f *fleet) grow(o Observation) {
	short := f.short()
	if short == 0 {
		return
	}
	spent := o.Spent[f.pool.Name]
	n := min(short, f.headroom())
	switch {
	case o.Paused && (n > 0 || f.spare > 0):
		f.held = HeldPaused
		f.report("%s wanted, but hangar is paused", count(short, "server"))
		return
	case n == 0:
		f.held = HeldMaximum
		f.report("%s wanted beyond the maximum", count(short, "server"))
		return
	}
	name, wait := f.where(o.At, o.Backoffs)
	if name == "" {
		f.held = HeldBackoff
		f.report("%s wanted, but %s", count(n, "server"), wait)
		return
	}
	if left := f.affordable(spent); left < n {
		f.held = HeldBudget
		f.report("%s wanted beyond the creation budget of %d an hour, because %s of the last hour served no stage; look why, more follow from %s",
			count(n-left, "server"), f.pool.CreateBudget, count(spent.Creates, "create"), clock(first(spent.Oldest, o.At).Add(time.Hour)))
		if n, short = left, left; n == 0 {
			return
		}
	}
	f.report("create %s at %s, because %s", count(n, "server"), name, f.need())
	if n < short {
		f.held = HeldMaximum
		f.report("%s more wanted beyond the maximum", count(short-n, "server"))
	}
	f.create, f.candidate = n, name
	f.usable += n
	f.capacity += n * f.concurrency()
	f.free += n * f.concurrency()
	f.billed += n
}

// affordable is how many creates the budget allows now. Servers whose create
// has not begun are paid for already.
func (f *fleet) affordable(spent state.Spent) int {
	if f.pool.CreateBudget <= 0 {
		return math.MaxInt
	}
	left := f.pool.CreateBudget - spent.Creates
	for _, m := range f.members {
		if m.phase == state.Pending {
			left--
		}
	}
	return max(0, left)
}

// where is the first candidate that is not cooling off after a failure, or
// when there is none, until when the first of them is.
func (f *fleet) where(at time.Time, backoffs []state.Backoff) (candidate, wait string) {
	var soonest *state.Backoff
	for _, c := range f.pool.Candidates {
		b := coolsOff(f.pool.Name, c.Name, at, backoffs)
		if b == nil {
			return c.Name, ""
		}
		if soonest == nil || b.Until.Before(soonest.Until) {
			soonest = b
		}
	}
	if soonest == nil {
		return "", "the pool has no candidate"
	}
	return "", fmt.Sprintf("every candidate failed, %s until %s with %q",
		soonest.Candidate, clock(soonest.Until), soonest.Error)
}

func coolsOff(pool, candidate string, at time.Time, backoffs []state.Backoff) *state.Backoff {
	for i := range backoffs {
		b := &backoffs[i]
		if b.Pool == pool && b.Candidate == candidate && b.Until.After(at) {
			return b
		}
	}
	return nil
}
