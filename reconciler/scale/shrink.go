package scale

import (
	"fmt"

	"hangar/state"
)

// drop gives up servers whose create has not begun, the newest first, when the
// rest covers the demand and the minimum. They have cost nothing yet. One that
// a person asked for is made all the same.
func (f *fleet) drop() {
	dropped := 0
	for _, m := range f.pick(func(m *member) bool {
		return m.phase == state.Pending && m.usable() && m.load == 0 && !m.server.Ordered
	}, func(a, b *member) int { return b.server.Created.Compare(a.server.Created) }) {
		if f.usable > f.pool.Min && f.free-m.free() >= f.demand() {
			f.move(m, state.Drop, "no longer needed, and its create has not begun")
			dropped++
		}
	}
	if dropped > 0 {
		f.report("drop %s not begun", count(dropped, "server"))
	}
}

// release lets idle servers go, the longest idle first, each judged alone: one
// that has to stay keeps no other. Demand and minimum must be covered by the
// servers that run: what is on its way takes minutes and may yet fail.
func (f *fleet) release(o Observation) {
	released := 0
	for _, m := range f.pick(func(m *member) bool {
		return m.server.Phase == state.Running && m.usable() && m.load == 0
	}, func(a, b *member) int { return a.decision.IdleSince.Compare(b.decision.IdleSince) }) {
		leave := mayLeave(m, f.pool, o.At)
		switch {
		case m.server.Taken:
			m.keep("left alone: its device does not carry this installation's tag any more")
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
			released++
		}
	}
	if released > 0 {
		f.report("let %s go", count(released, "idle server"))
	}
}
