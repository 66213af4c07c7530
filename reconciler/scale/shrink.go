package scale

import (
	"fmt"

	"hangar/state"
)

// drop gives up servers whose create has not begun, the newest first, when the
// rest covers the demand, the minimum and a rollout. They have cost nothing yet.
// It says whether it gave up any.
func (f *fleet) drop(o Observation) bool {
	if o.Paused {
		return false
	}
	before := f.dropped
	for _, m := range f.pick((*member).revocable, func(a, b *member) int { return b.server.Created.Compare(a.server.Created) }) {
		if f.usable-f.ahead() > f.least() && f.free-m.free()-f.ahead()*f.concurrency() >= f.demand() {
			f.move(m, state.Drop, "no longer needed, and its create has not begun")
			f.dropped++
		}
	}
	return f.dropped > before
}

// revocable says whether the create of the server has not begun, and nobody asked
// for it.
func (m *member) revocable() bool {
	return m.phase == state.Pending && m.usable() && m.load == 0 && !m.server.Ordered
}

// release lets idle servers go, outdated ones first, then the longest idle, each
// judged alone: one that has to stay keeps no other. Demand and minimum must be
// covered by the servers that run: what is on its way takes minutes and may yet
// fail.
func (f *fleet) release(o Observation) {
	for _, m := range f.pick((*member).idle, func(a, b *member) int {
		if a.outdated != b.outdated {
			return map[bool]int{true: -1, false: 1}[a.outdated]
		}
		return a.decision.IdleSince.Compare(b.decision.IdleSince)
	}) {
		leave := mayLeave(m, f.pool, o.At)
		switch {
		case m.server.Taken:
			m.keep("left alone: its device does not carry this installation's tag any more")
		case m.spared != nil:
			m.keep("idle: " + m.stays())
		case o.Paused:
			m.keep("idle: stays while hangar is paused")
		case leave.After(o.At):
			m.keep(fmt.Sprintf("idle: may leave at %s at the earliest", clock(leave)))
		case f.running <= f.pool.Min:
			m.keep(fmt.Sprintf("idle: stays for the minimum of %d", f.pool.Min))
		case f.ready-m.free() < f.demand():
			m.keep("idle: stays for " + f.wants())
		default:
			f.move(m, state.Drain, "no longer needed: idle since "+clock(m.decision.IdleSince))
			f.released++
		}
	}
}

// renew lets idle servers go that would be made otherwise now: one more whenever
// fewer are missing than MaxUnavailable, or when what was made ahead covers the
// demand and the minimum without it; but not while it is what stages wait for.
// What is missing is what drains, is being destroyed, is on its way, or lacks to
// the minimum; and nothing goes that is needed while nothing can be made.
func (f *fleet) renew(o Observation) {
	if o.Paused {
		return
	}
	for _, m := range f.pick((*member).replaceable, func(a, b *member) int { return a.server.Created.Compare(b.server.Created) }) {
		dispensable := f.running > f.least() && f.ready-m.free() >= f.demand()
		missing := max(f.leaving+f.usable, f.least()) - f.running
		switch {
		case f.ready-m.free() < f.waiting:
		case dispensable && f.leaving < f.pool.MaxSurge, missing < f.pool.MaxUnavailable && (dispensable || f.payable() > 0 && f.affordable() > 0 && f.place.Name != "" && f.discarded == nil):
			f.move(m, state.Drain, "outdated: the image, plan, module or agent of its pool has changed")
			f.replaced++
			continue
		}
		m.keep("outdated, and idle: is replaced when others have been")
	}
}

// idle says whether the server takes stages and holds none.
func (m *member) idle() bool {
	return m.server.Phase == state.Running && m.phase == state.Running && m.usable() && m.load == 0
}

// replaceable says whether the server is outdated, and nothing would be lost with
// it.
func (m *member) replaceable() bool {
	return m.outdated && m.phase == state.Running && m.idle() && !m.server.Taken && m.spared == nil
}
