package scale

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hangar/state"
)

// fleet is a pool with its servers, and the figures from which its size
// follows. Every step of the decision keeps the figures up to date, so that
// the next step builds on what the ones before it decided.
type fleet struct {
	pool    *state.Pool
	members []*member

	waiting, heldBack, assigned int // stages

	usable   int // servers present and on their way
	capacity int // stages that they can run
	free     int // without the stages on them
	running  int // servers that take stages now
	ready    int // free on those
	spare    int // free on servers that drain and could be put back to work
	billed   int // servers that count against the maximum
	errored  int // servers in error

	create    int
	candidate string
	held      string
	news      []string // what is decided, in words
}

// assemble makes the fleets, in the order of the pools, and finds each by the
// name of its pool.
func assemble(members []*member, pools []state.Pool) ([]*fleet, map[string]*fleet) {
	fleets := make([]*fleet, 0, len(pools))
	byName := make(map[string]*fleet, len(pools))
	for i := range pools {
		f := &fleet{pool: &pools[i]}
		fleets = append(fleets, f)
		byName[f.pool.Name] = f
	}
	for _, m := range members {
		if f := byName[m.server.Pool]; f != nil {
			f.members = append(f.members, m)
			if m.server.Machine == "" { // else they are counted where that name is a server's own
				f.assigned += m.load
			}
			f.tally(m, 1)
		}
	}
	return fleets, byName
}

// tally adds the server to the figures, or with n = -1 takes it out.
func (f *fleet) tally(m *member, n int) {
	if m.usable() {
		f.usable += n
		f.capacity += n * m.server.Capacity
		f.free += n * m.free()
		if m.phase == state.Running {
			f.running += n
			f.ready += n * m.free()
		}
	}
	if m.spare() {
		f.spare += n * m.free()
	}
	if m.billed() {
		f.billed += n
	}
	if m.phase == state.Failed {
		f.errored += n
	}
}

func (f *fleet) move(m *member, a state.Action, reason string) {
	f.tally(m, -1)
	m.act(a, reason)
	f.tally(m, 1)
}

// concurrency is how many stages a new server runs at once.
func (f *fleet) concurrency() int { return max(1, f.pool.Concurrency) }

// headroom is how many servers may be added.
func (f *fleet) headroom() int { return max(0, f.pool.Max-f.billed) }

// hasRoom says whether the fleet has, or can make, a place for one more waiting
// stage than it has counted. Draining servers that could be put back to work
// are part of that: room is the same before and after a step of the decision
// that demand calls for, and so each stage is counted in the same fleet when it
// is decided again.
func (f *fleet) hasRoom() bool {
	return f.waiting < f.free+f.spare+f.headroom()*f.concurrency()
}

// demand is for how many stages there is to be a free place.
func (f *fleet) demand() int { return f.waiting + f.pool.Buffer }

// short is how many more servers the demand and the minimum want.
func (f *fleet) short() int {
	c := f.concurrency()
	return max(0, (f.demand()-f.free+c-1)/c, f.pool.Min-f.usable)
}

// decide covers the demand and lets go of what is beyond it.
func (f *fleet) decide(o Observation) state.PoolDecision {
	seen := state.PoolDecision{
		Pool:     f.pool.Name,
		Waiting:  f.waiting,
		HeldBack: f.heldBack,
		Assigned: f.assigned,
		Usable:   f.capacity,
		Free:     f.free,
		Billed:   f.billed,
	}
	figures := f.figures()
	if !o.Paused {
		f.revive()
	}
	f.grow(o)
	if !o.Paused {
		f.drop()
	}
	f.release(o)

	seen.Create, seen.Candidate, seen.Held = f.create, f.candidate, f.held
	if len(f.news) == 0 {
		f.news = []string{"nothing to change"}
	}
	seen.Reason = strings.Join(f.news, "; ") + ": " + figures
	return seen
}

// figures is what the decision rests on, in words.
func (f *fleet) figures() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d waiting and %d of buffer against %d free of %d; %d billed of %d to %d servers",
		f.waiting, f.pool.Buffer, f.free, f.capacity, f.billed, f.pool.Min, f.pool.Max)
	if f.errored > 0 {
		fmt.Fprintf(&b, "; %d in error", f.errored)
	}
	if f.heldBack > 0 {
		fmt.Fprintf(&b, "; %s held back by limits", count(f.heldBack, "stage"))
	}
	return b.String()
}

func (f *fleet) report(format string, args ...any) {
	f.news = append(f.news, fmt.Sprintf(format, args...))
}

// pick returns the servers that are fit, in the order of prefer; servers that
// it holds equal are ordered by name.
func (f *fleet) pick(fit func(*member) bool, prefer func(a, b *member) int) []*member {
	var list []*member
	for _, m := range f.members {
		if fit(m) {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b *member) int {
		return cmp.Or(prefer(a, b), cmp.Compare(a.server.Name, b.server.Name))
	})
	return list
}
