package scale

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"hangar/state"
)

// The rules that decide of a pool, beside what holds it.
const (
	ruleDemand  = "demand"
	ruleMinimum = "minimum"
	ruleRollout = "rollout"
	ruleSurplus = "surplus"
	ruleIdle    = "idle"
	ruleEnough  = "enough"
)

// rules is what each rule says, in words.
var rules = map[string]string{
	HeldPaused:    "a person paused hangar; only what was begun or asked for goes on until it is resumed",
	HeldMaximum:   "there are never more servers than the maximum, of the pool and of all pools together",
	HeldBudget:    "creates that serve no stage are bounded, so that nothing is made and destroyed without end",
	HeldCost:      "the servers of a pool cost no more in a day than its budget",
	HeldBackoff:   "a candidate that failed is left alone for a while, and each of this pool has failed",
	HeldDiscarded: "what a person discarded is not asked for again while the demand is as it was",
	ruleDemand:    "there is to be a free place for each stage that waits, and for the buffer",
	ruleMinimum:   "there are never fewer servers than the minimum",
	ruleRollout:   "a server that would be made otherwise now is replaced when it is idle",
	ruleSurplus:   "a server whose create has not begun is given up when it is needed no more",
	ruleIdle:      "a server leaves when it holds no stage, its times are over, and those that run cover demand and minimum without it",
	ruleEnough:    "what there is covers demand and minimum, and nothing can leave yet",
}

// Explain says what Decide decides of the same observation, and why: for each
// pool by which rule, for each server when it may leave, and for each stage
// what becomes of it. leads is how long the last servers of each pool took from
// the decision to running; when a stage may expect a server follows from it.
func Explain(o Observation, pools []state.Pool, leads map[string]state.Lead) state.Explanation {
	seats := make([]seat, 0, len(o.Stages))
	c := decide(o, pools, func(s seat) { seats = append(seats, s) })
	e := state.Explanation{
		At: o.At, Paused: o.Paused,
		Pools:   make([]state.ExplainedPool, 0, len(c.fleets)),
		Servers: make([]state.ExplainedServer, 0, len(c.members)),
		Stages:  make([]state.ExplainedStage, 0, len(o.Stages)),
	}
	coming := make(map[*fleet]*arrivals, len(c.fleets))
	byName := make(map[string]*fleet, len(c.fleets))
	for i, f := range c.fleets {
		rule, lead := f.decisive(), leads[f.pool.Name]
		e.Pools = append(e.Pools, state.ExplainedPool{
			PoolDecision: c.decision.Pools[i], Rule: rule + ": " + rules[rule], Min: f.pool.Min, Max: f.pool.Max, Lead: lead,
		})
		coming[f] = f.arrivals(o.At, lead)
		byName[f.pool.Name] = f
	}
	on := stagesOn(o)
	for _, m := range c.members {
		s := state.ExplainedServer{ServerDecision: m.decision, Stages: on[m.server.Runner()]}
		s.MayLeave, s.Leave = m.leave(o, byName[m.server.Pool])
		e.Servers = append(e.Servers, s)
	}
	lacking := make(map[*ask]string)
	for _, s := range seats {
		e.Stages = append(e.Stages, s.explain(coming[s.fleet], pools, lacking))
	}
	owner := make(map[string]string, len(c.members)) // pools by machine
	for _, m := range c.members {
		owner[m.server.Runner()] = m.server.Pool
	}
	for _, i := range byAge(o.Stages) {
		if s := &o.Stages[i]; !waits(s) {
			one := describe(s, state.StageRuns)
			one.Pool, one.Server, one.Reason = owner[s.Machine], s.Machine, "it runs on "+cmp.Or(s.Machine, "a machine that Drone does not name")
			if !s.Running {
				one.Reason = "the runner on " + s.Machine + " has accepted it"
			}
			e.Stages = append(e.Stages, one)
		}
	}
	return e
}

// decisive is the rule that decided of the fleet: what holds it, or else what it
// changes.
func (f *fleet) decisive() string {
	switch {
	case f.held != "":
		return f.held
	case f.rule != "":
		return f.rule
	case f.released > 0 && f.overspent():
		return HeldCost
	case f.released > 0:
		return ruleIdle
	case f.replaced > 0:
		return ruleRollout
	case f.dropped > 0:
		return ruleSurplus
	}
	return ruleEnough
}

func stagesOn(o Observation) map[string][]int64 {
	on := make(map[string][]int64)
	for _, i := range byAge(o.Stages) {
		if s := &o.Stages[i]; s.Machine != "" {
			on[s.Machine] = append(on[s.Machine], s.ID)
		}
	}
	return on
}

// leave is when a server may leave at the earliest, in the fleet of its pool;
// nil: that is there no more.
func (m *member) leave(o Observation, f *fleet) (at time.Time, words string) {
	s := m.server
	switch a := m.decision.Action; {
	case a == state.Drain || a == state.Stop || a == state.Drop:
		return o.At, "now"
	case s.Taken:
		return at, "never by hangar: its device does not carry this installation's tag any more"
	case a == state.Revive: // it stays
	case s.Phase == state.Shutdown:
		return at, "it is leaving, as soon as nothing runs on it"
	case s.Phase == state.Stopping:
		return at, "it is leaving"
	case s.Phase == state.Failed:
		return at, "when it is known what became of its device, and that nothing runs on it"
	case m.dismissed():
		return at, "when its create has ended: it is asked to leave"
	case f == nil && o.Paused:
		return at, "when hangar is resumed and nothing runs on it: its pool is there no more"
	case f == nil:
		return at, "when its create has ended: its pool is there no more"
	}
	switch {
	case m.revocable():
		return o.At, "whenever it is needed no more: its create has not begun"
	case f.overspent():
		return at, "as soon as it runs and holds no stage: the budget of the day is spent"
	case m.outdated:
		return at, "as soon as it runs, holds no stage and may be missing: it is outdated"
	case m.idle():
		end, by := lease(s, m.decision.IdleSince, f.pool, o.At)
		if end.After(o.At) {
			return end, fmt.Sprintf("at %s at the earliest, when it is %s", clock(end), by)
		}
		return end, "as soon as the pool can do without it: its times are over"
	}
	begun := *s
	if s.Phase != state.Running { // its first period begins when it runs
		begun.Started = first(s.Started, o.At)
	}
	end, by := lease(&begun, o.At, f.pool, o.At)
	if m.load > 0 {
		return end, fmt.Sprintf("at %s at the earliest, if its stages ended now: when it is %s", clock(end), by)
	}
	return end, fmt.Sprintf("at %s at the earliest, if it ran now and got no stage: when it is %s", clock(end), by)
}

// arrival is where stages can go: to a server that is there or on its way.
type arrival struct {
	server   string // its name; empty: it has none yet
	free     int    // stages
	place    state.Place
	expected time.Time // zero: not known, or it is there
	reason   string
	estimate string
}

// arrivals are those of one fleet, the soonest first. Each waiting stage takes
// the next place.
type arrivals struct {
	fleet *fleet
	list  []arrival
}

// soonest is the order in which servers are there.
var soonest = map[state.Phase]int{state.Running: 0, state.Staging: 1, state.Created: 2, state.Creating: 3, state.Pending: 4}

func (f *fleet) arrivals(at time.Time, lead state.Lead) *arrivals {
	a := &arrivals{fleet: f}
	if f.waiting == 0 {
		return a
	}
	if f.static > 0 {
		a.list = append(a.list, arrival{free: f.static, place: state.StageReady, reason: "a runner that exists anyway has room for it, and gets it when it asks Drone next"})
	}
	for _, m := range f.pick((*member).usable, func(a, b *member) int {
		return cmp.Or(cmp.Compare(soonest[a.phase], soonest[b.phase]), a.server.Created.Compare(b.server.Created))
	}) {
		if m.free() > 0 {
			a.list = append(a.list, m.arrival(at, lead))
		}
	}
	if f.create > 0 {
		expected, estimate := estimate(at, at, lead)
		a.list = append(a.list, arrival{
			free: f.create * f.concurrency(), place: state.StageComing, expected: expected, estimate: estimate,
			reason: "a new server is made for it at " + f.place.Name,
		})
	}
	return a
}

func (m *member) arrival(at time.Time, lead state.Lead) arrival {
	a := arrival{server: m.server.Name, free: m.free(), place: state.StageReady}
	revived := m.decision.Action == state.Revive
	switch {
	case revived && m.phase == state.Running:
		a.reason = "server " + a.server + ", which drained, is put back to work for it"
	case revived:
		a.place, a.reason = state.StageComing, "server "+a.server+", which drained, is put back to work for it once its runner is started again"
	case m.phase == state.Running:
		a.reason = "server " + a.server + " has room for it, and its runner gets it when it asks Drone next"
	default:
		a.place, a.reason = state.StageComing, "server "+a.server+" is on its way for it: "+m.progress()
		a.expected, a.estimate = estimate(m.server.Created, at, lead)
	}
	return a
}

// estimate is when a server that was decided at some time is expected to run.
func estimate(decided, at time.Time, lead state.Lead) (expected time.Time, words string) {
	if lead.Of == 0 {
		return expected, "when is not known: no server of this pool has run yet"
	}
	expected = decided.Add(time.Duration(lead.Median))
	last := "the last server of this pool took"
	if lead.Of > 1 {
		last = fmt.Sprintf("half of the last %d servers of this pool took no more than", lead.Of)
	}
	words = fmt.Sprintf("expected at %s, an estimate: %s %s from decision to running", clock(expected), last, time.Duration(lead.Median).Round(time.Second))
	if expected.Before(at) {
		words += "; this one takes longer"
	}
	return expected, words
}

// next takes the next place; ok is false when there is none.
func (a *arrivals) next() (one arrival, ok bool) {
	if len(a.list) == 0 {
		return one, false
	}
	one = a.list[0]
	if a.list[0].free--; a.list[0].free == 0 {
		a.list = a.list[1:]
	}
	return one, true
}

func describe(s *state.Stage, place state.Place) state.ExplainedStage {
	return state.ExplainedStage{Stage: s.ID, Build: s.BuildID, Name: s.Name, Asks: asksFor(s), Place: place}
}

// explain says what becomes of a waiting stage; lacking is what is known of asks
// that no pool may run.
func (s seat) explain(coming *arrivals, pools []state.Pool, lacking map[*ask]string) state.ExplainedStage {
	e := describe(s.stage, state.StageUnmatched)
	if s.fleet != nil {
		e.Pool = s.fleet.pool.Name
	} else {
		if lacking[s.ask] == "" {
			lacking[s.ask] = "no pool may run it: " + lacks(s.stage, pools)
		}
		e.Reason = lacking[s.ask]
	}
	switch {
	case s.bound > 0 && s.fleet == nil:
		e.Place, e.Reason = state.StageLimited, s.held()+"; and "+e.Reason
		return e
	case s.bound > 0:
		e.Place, e.Reason = state.StageLimited, s.held()
		return e
	case s.fleet == nil:
		return e
	}
	one, ok := coming.next()
	if !ok {
		e.Place, e.Reason = state.StageHeld, fmt.Sprintf("nothing is on its way for it: pool %s is held (%s): %s", e.Pool, s.fleet.held, s.fleet.because)
		return e
	}
	e.Place, e.Server, e.Reason, e.Expected, e.Estimate = one.place, one.server, one.reason, one.expected, one.estimate
	return e
}

// held is by what Drone holds the stage back, in words.
func (s seat) held() string {
	var by []string
	if s.bound&limited > 0 {
		by = append(by, fmt.Sprintf("its limit of %d, by stages %s of the same repository that are older or run", s.stage.Limit, s.stage.Name))
	}
	if s.bound&throttled > 0 {
		by = append(by, fmt.Sprintf("its throttle of %d, by older stages of the same repository", s.stage.Throttle))
	}
	return "Drone holds it back: reached is " + strings.Join(by, "; and ")
}
