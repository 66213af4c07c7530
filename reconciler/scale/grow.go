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
// they do already. Those with the most room come first, so that few are needed,
// then the youngest.
func (f *fleet) revive(o Observation) {
	if o.Paused || f.overspent() {
		return
	}
	for _, m := range f.pick((*member).spare, func(a, b *member) int {
		return cmp.Or(cmp.Compare(b.free(), a.free()), b.server.Created.Compare(a.server.Created))
	}) {
		forMinimum := f.usable < f.least()
		forDemand := f.ready < f.demand() && m.free() > 0
		if !forMinimum && !forDemand {
			break
		}
		f.rule = cmp.Or(f.rule, f.cause())
		f.move(m, state.Revive, "put back to work: "+f.reason())
		f.revived++
	}
}

// cause is the rule by which a fleet that is short wants servers.
func (f *fleet) cause() string {
	switch {
	case f.ready < f.demand():
		return ruleDemand
	case f.usable < f.least():
		return ruleMinimum
	}
	return ruleRollout
}

// reason is what a fleet that is short wants servers for.
func (f *fleet) reason() string {
	switch f.cause() {
	case ruleDemand:
		return f.wants()
	case ruleMinimum:
		return fmt.Sprintf("the minimum is %d", f.pool.Min)
	}
	return "outdated ones are to be replaced"
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

// grow decides how many servers are to be made, or how many more, and where, or
// names what keeps the fleet from it.
func (f *fleet) grow(o Observation) {
	f.held = ""
	short := f.short()
	if short == 0 {
		return
	}
	n := min(short, f.headroom(), f.all.headroom(f))
	switch {
	case o.Paused && (n > 0 || f.spare > 0):
		f.hold(HeldPaused, "%s wanted, but hangar is paused", count(short, "server"))
		return
	case n == 0:
		f.clip(short)
		return
	case f.discarded != nil:
		f.hold(HeldDiscarded, "%s wanted, but %s discarded creates at %s, and the demand has not changed since", count(n, "server"), f.discarded.By, clock(f.discarded.At))
		return
	case f.place.Name == "":
		f.hold(HeldBackoff, "%s wanted, but %s", count(n, "server"), f.nowhere)
		return
	}
	if left := f.affordable(); left < n {
		f.hold(HeldBudget, "%s wanted beyond the creation budget of %d an hour, because %s of the last hour served no stage; look why, more follow from %s",
			count(n-left, "server"), f.pool.CreateBudget, count(f.spent, "create"), clock(first(o.Spent[f.pool.Name].Oldest, o.At).Add(time.Hour)))
		if n, short = left, left; n == 0 {
			return
		}
	}
	if f.create == 0 {
		f.need, f.rule = f.reason(), cmp.Or(f.rule, f.cause())
	}
	f.create += n
	f.usable += n
	f.capacity += n * f.concurrency()
	f.free += n * f.concurrency()
	f.billed += n
	f.all.billed += n
	f.rate += float64(n) * f.price()
	if n < short {
		f.clip(short - n)
	}
}

func (f *fleet) hold(by, format string, args ...any) {
	f.held, f.because = by, fmt.Sprintf(format, args...)
}

// clip names what keeps the fleet from n servers that it wants, beside those that
// it makes.
func (f *fleet) clip(n int) {
	wanted := count(n, "server")
	if f.create > 0 {
		wanted += " more"
	}
	switch {
	case f.pool.Max <= f.billed:
		f.hold(HeldMaximum, "%s wanted beyond the maximum", wanted)
	case f.payable() == 0:
		f.hold(HeldCost, "%s wanted, whose first hour goes beyond the budget of %.2f a day; the next day begins at 00:00 UTC", wanted, f.pool.Budget)
	default:
		f.hold(HeldMaximum, "%s wanted beyond the maximum of %d in all pools", wanted, f.all.max)
	}
}

// headroom is how many servers a pool may have more as far as all pools together
// go: what the others lack to their minimums is theirs.
func (t *total) headroom(of *fleet) int {
	if t.max <= 0 {
		return math.MaxInt
	}
	left := t.max - t.billed
	for _, f := range t.fleets {
		if f != of {
			left -= max(0, min(f.least()-f.usable, f.makeable()))
		}
	}
	return max(0, left)
}

// affordable is how many creates the budget allows now. Servers whose create
// has not begun are paid for already.
func (f *fleet) affordable() int {
	if f.pool.CreateBudget <= 0 {
		return math.MaxInt
	}
	left := f.pool.CreateBudget - f.spent - f.create
	for _, m := range f.members {
		if m.phase == state.Pending {
			left--
		}
	}
	return max(0, left)
}

// where is the first candidate that is not cooling off after a failure, or
// when there is none, why.
func (f *fleet) where(at time.Time, backoffs []state.Backoff) (_ state.Candidate, wait string) {
	var soonest *state.Backoff
	for _, c := range f.pool.Candidates {
		b := coolsOff(f.pool.Name, c.Name, at, backoffs)
		if b == nil {
			return c, ""
		}
		if soonest == nil || b.Until.Before(soonest.Until) {
			soonest = b
		}
	}
	if soonest == nil {
		return state.Candidate{}, "the pool has no candidate"
	}
	return state.Candidate{}, fmt.Sprintf("every candidate failed, %s until %s with %q",
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
