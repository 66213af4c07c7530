package scale

import (
	"cmp"
	"fmt"
	"math"
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
	all     *total

	waiting, heldBack, assigned int // stages

	usable   int     // servers present and on their way
	capacity int     // stages that they can run
	free     int     // without the stages on them; with static
	static   int     // free on runners that exist anyway
	running  int     // servers that take stages now
	ready    int     // free on those; with static
	spare    int     // free on servers that drain and could be put back to work
	billed   int     // servers that count against the maximum
	errored  int     // servers in error
	stale    int     // outdated ones that are idle, and could be replaced
	leaving  int     // outdated ones that drain or are being destroyed
	rate     float64 // what those that are billed cost an hour

	place                                state.Candidate // where servers would be made now; without a name: nowhere
	nowhere                              string          // why, in words
	cost                                 float64         // of this day, so far
	spent                                int             // creates of the last hour that have served nothing
	create                               int
	need                                 string // of those, in words
	rule                                 string // by which more are wanted
	revived, dropped, released, replaced int
	held, because                        string         // because is why, in words
	discarded                            *state.Discard // of its creates; nil: none

	seen    state.PoolDecision // before anything was decided
	figures string
}

// total is the servers of all pools.
type total struct {
	max    int // 0: no bound
	billed int
	fleets []*fleet
}

// assemble makes the fleets, in the order of the pools, and lets go of what
// belongs to none of them.
func assemble(o Observation, members []*member, pools []state.Pool, load map[string]int) []*fleet {
	all := &total{max: o.Max}
	fleets := make([]*fleet, 0, len(pools))
	byName := make(map[string]*fleet, len(pools))
	for i := range pools {
		f := &fleet{pool: &pools[i], all: all, spent: o.Spent[pools[i].Name].Creates}
		f.place, f.nowhere = f.where(o.At, o.Backoffs)
		f.cost = o.Spent[f.pool.Name].Cost + o.Spent[f.pool.Name].Unpriced.Hours()*f.price()
		for _, machine := range f.pool.Static {
			f.assigned += load[machine]
			f.static += max(0, f.concurrency()-load[machine])
		}
		f.free, f.ready = f.static, f.static
		fleets, all.fleets = append(fleets, f), append(all.fleets, f)
		byName[f.pool.Name] = f
	}
	for _, m := range members {
		f := byName[m.server.Pool]
		if f == nil {
			m.disown(o)
			if m.billed() {
				all.billed++
			}
			continue
		}
		m.outdated = f.pool.Outdated(*m.server)
		f.forgo(o, m)
		f.members = append(f.members, m)
		if m.server.Machine == "" { // else they are counted where that name is a server's own
			f.assigned += m.load
		}
		f.tally(m, 1)
	}
	return fleets
}

// forgo lets go of what is of no use to the pool, whatever the demand.
func (f *fleet) forgo(o Observation, m *member) {
	switch {
	case o.Paused || m.server.Taken:
	case m.outdated && m.revocable():
		m.act(state.Drop, "outdated before its create began")
		f.dropped++
	case f.overspent() && m.revocable():
		m.act(state.Drop, fmt.Sprintf("its create has not begun, and the budget of %.2f a day is spent", f.pool.Budget))
		f.dropped++
	case f.overspent() && m.idle() && m.spared == nil:
		m.act(state.Drain, fmt.Sprintf("idle, and the budget of %.2f a day is spent", f.pool.Budget))
		f.released++
	}
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
	if m.spare() && !f.overspent() {
		f.spare += n * m.free()
	}
	if m.billed() {
		f.billed += n
		f.all.billed += n
		f.rate += float64(n) * cmp.Or(m.server.Price, f.price())
	}
	if m.phase == state.Failed {
		f.errored += n
	}
	if m.replaceable() {
		f.stale += n
	}
	if m.outdated && (m.phase == state.Shutdown || m.phase == state.Stopping) {
		f.leaving += n
	}
}

func (f *fleet) move(m *member, a state.Action, reason string) {
	f.tally(m, -1)
	m.act(a, reason)
	f.tally(m, 1)
}

// concurrency is how many stages a new server runs at once.
func (f *fleet) concurrency() int { return max(1, f.pool.Concurrency) }

// headroom is how many servers the pool may have more: within its maximum, and
// each of them paid for an hour out of what is left of the day's budget.
func (f *fleet) headroom() int { return max(0, min(f.pool.Max-f.billed, f.payable())) }

// payable is for how many more servers the day's budget lasts an hour, together
// with those that are billed already.
func (f *fleet) payable() int {
	if f.pool.Budget <= 0 || f.price() <= 0 {
		return math.MaxInt
	}
	left := f.pool.Budget - f.cost - f.rate
	return max(0, int(math.Floor(left/f.price()+1e-9))) // sums of prices are not exact
}

// price is what a server of the pool costs an hour that would be made now, or
// whose own price is not known.
func (f *fleet) price() float64 {
	if f.place.Name == "" && len(f.pool.Candidates) > 0 {
		return f.pool.Candidates[0].Price
	}
	return f.place.Price
}

// makeable is how many servers can be made now, all pools together aside.
func (f *fleet) makeable() int {
	if f.place.Name == "" || f.discarded != nil {
		return 0
	}
	return min(f.headroom(), f.affordable())
}

// overspent says whether the day's budget is used up. Then nothing is kept that
// holds no stage.
func (f *fleet) overspent() bool { return f.pool.Budget > 0 && f.cost >= f.pool.Budget }

// least is how many servers there are to be, whatever the demand.
func (f *fleet) least() int {
	if f.overspent() {
		return 0
	}
	return f.pool.Min
}

// hasRoom says whether the fleet has, or can make, a place for one more waiting
// stage than it has counted. Draining servers that could be put back to work
// are part of that: room is the same before and after a step of the decision
// that demand calls for, and so each stage is counted in the same fleet when it
// is decided again. That is why the maximum of all pools is no part of it.
func (f *fleet) hasRoom() bool {
	return f.waiting < f.free+f.spare+f.makeable()*f.concurrency()
}

// demand is for how many stages there is to be a free place.
func (f *fleet) demand() int { return f.waiting + f.pool.Buffer }

// ahead is how many servers there are to be beyond what is needed, so that
// outdated ones can go.
func (f *fleet) ahead() int {
	return max(0, min(f.pool.MaxSurge, f.stale+f.leaving)-f.leaving)
}

// short is how many more servers the demand, the minimum and a rollout want.
func (f *fleet) short() int {
	c := f.concurrency()
	return max(0, (f.demand()-f.free+c-1)/c, f.least()-f.usable) + f.behind()
}

// behind is how many servers a rollout wants made ahead beyond what the demand
// and the minimum leave over.
func (f *fleet) behind() int {
	ahead := f.ahead()
	if ahead == 0 {
		return 0
	}
	c := f.concurrency()
	surplus := min(f.usable-f.least(), (f.free-f.demand())/c)
	return max(0, ahead-max(0, surplus))
}

// begin notes what is seen, before anything is decided.
func (f *fleet) begin() {
	f.seen = state.PoolDecision{
		Pool:     f.pool.Name,
		Waiting:  f.waiting,
		HeldBack: f.heldBack,
		Assigned: f.assigned,
		Usable:   f.capacity,
		Free:     f.free,
		Billed:   f.billed,
	}
	f.figures = f.tell()
}

// shift decides what becomes of the servers that are there. It says whether it
// has changed anything, and so is to be made again.
func (f *fleet) shift(o Observation) bool {
	before := f.revived + f.released + f.replaced
	f.revive(o)
	f.release(o)
	f.renew(o)
	return f.drop(o) || f.revived+f.released+f.replaced > before
}

func (f *fleet) result() state.PoolDecision {
	d := f.seen
	d.Create, d.Held = f.create, f.held
	if f.create > 0 {
		d.Candidate = f.place.Name
	}
	var news []string
	tell := func(n int, thing, format string, args ...any) {
		if n > 0 {
			news = append(news, fmt.Sprintf(format, append([]any{count(n, thing)}, args...)...))
		}
	}
	tell(f.revived, "draining server", "put %s back to work")
	tell(f.create, "server", "create %s at %s, because %s", f.place.Name, f.need)
	if f.held != "" {
		news = append(news, f.because)
	}
	tell(f.dropped, "server", "drop %s not begun")
	tell(f.released, "idle server", "let %s go")
	tell(f.replaced, "outdated server", "let %s go, to be replaced")
	if len(news) == 0 {
		news = []string{"nothing to change"}
	}
	d.Reason = strings.Join(news, "; ") + ": " + f.figures
	return d
}

// tell is what the decision rests on, in words.
func (f *fleet) tell() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d waiting and %d of buffer against %d free of %d; %d billed of %d to %d servers",
		f.waiting, f.pool.Buffer, f.free, f.capacity, f.billed, f.pool.Min, f.pool.Max)
	if f.pool.Schedule != "" {
		fmt.Fprintf(&b, " by schedule %s", f.pool.Schedule)
	}
	if f.pool.Learned != "" {
		fmt.Fprintf(&b, "; %s", f.pool.Learned)
	}
	if f.all.max > 0 {
		fmt.Fprintf(&b, ", %d of %d in all pools", f.all.billed, f.all.max)
	}
	if len(f.pool.Static) > 0 {
		fmt.Fprintf(&b, "; %d of the free on runners that exist anyway", f.static)
	}
	if f.pool.Budget > 0 {
		fmt.Fprintf(&b, "; %.2f an hour, of a budget of %.2f a day", f.rate, f.pool.Budget)
	}
	if f.errored > 0 {
		fmt.Fprintf(&b, "; %d in error", f.errored)
	}
	if f.heldBack > 0 {
		fmt.Fprintf(&b, "; %s held back by limits", count(f.heldBack, "stage"))
	}
	return b.String()
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
