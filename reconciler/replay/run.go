package replay

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"hangar/reconciler/scale"
	"hangar/state"
)

// event is what happens at a time; those of one time happen in order.
type event struct {
	at  time.Time
	seq int
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	if !e[i].at.Equal(e[j].at) {
		return e[i].at.Before(e[j].at)
	}
	return e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push implements heap.Interface.
func (e *events) Push(x any) { *e = append(*e, x.(event)) }

// Pop implements heap.Interface.
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// replay is a replay under way.
type replay struct {
	Setup
	rand   *rand.Rand
	start  time.Time
	now    time.Time
	next   time.Time // read of the queue that is wanted; zero: none is
	events events
	seq    int

	jobs     []*job // pending and running, the oldest first
	machines []*machine
	named    map[string]*machine
	roster   state.Roster
	buffered bool // some pool has a buffer
	learns   bool // some pool learns its buffer
	arrivals scale.Arrivals
	leads    map[string][]time.Duration // by pool, what its last machines took
	limited  bool                       // some stage has a limit
	free     int                        // places on running machines
	pending  int
	made     int
	wasted   []state.Server // gone within the hour, without having served

	goal   time.Duration // nobody is interested once more than late stages have waited longer; 0: no goal
	late   int
	billed float64 // nor once more hours are billed; 0: no bound

	stages  []state.Stage  // of jobs, for a decision
	servers []state.Server // of machines, for a decision
	result  *Result
}

// What a replay does next.
const (
	nothing = iota
	arrival
	happening
	reading
)

// Run replays a trace, in the order of arrival, from its first stage until its
// last one has run.
func Run(ctx context.Context, trace []Stage, setup Setup) (*Result, error) {
	return run(ctx, trace, setup, 0, 0)
}

// run is Run for who has a goal for 95% of all stages, and a result that meets it
// already with so many billed hours. The result is nil when it is not met, or not
// for less.
func run(ctx context.Context, trace []Stage, setup Setup, goal time.Duration, billed float64) (*Result, error) {
	if len(trace) == 0 {
		return nil, fmt.Errorf("the trace is empty")
	}
	r := &replay{
		goal: goal, late: len(trace) / 20, billed: billed,
		Setup: setup, rand: rand.New(rand.NewPCG(setup.Machines.Seed, 1)), start: trace[0].At, now: trace[0].At,
		named: map[string]*machine{}, leads: map[string][]time.Duration{}, result: &Result{Name: setup.Name, From: trace[0].At},
	}
	r.look()
	r.want(r.start)
	for i, steps := 0, 0; i < len(trace) || len(r.jobs) > 0; steps++ {
		if steps&0xfff == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if r.goal > 0 && (r.late < 0 || r.billed > 0 && r.result.Billed >= r.billed) {
			return nil, nil
		}
		at, what := time.Time{}, nothing
		if i < len(trace) {
			at, what = trace[i].At, arrival
		}
		if len(r.events) > 0 && (what == nothing || !r.events[0].at.After(at)) {
			at, what = r.events[0].at, happening
		}
		if !r.next.IsZero() && (what == nothing || r.next.Before(at)) {
			at, what = r.next, reading
		}
		if what == nothing {
			r.result.Stuck = r.pending // nothing will ever run them
			break
		}
		r.now = at
		switch what {
		case arrival:
			r.arrive(trace[i], int64(i+1))
			i++
		case happening:
			heap.Pop(&r.events).(event).do()
		case reading:
			r.next = time.Time{}
			if r.decide(); r.stuck(i == len(trace)) {
				return r.finish(), nil
			}
		}
	}
	return r.finish(), nil
}

// stuck says whether what waits will wait for ever, once all have arrived.
func (r *replay) stuck(arrived bool) bool {
	if !arrived || r.pending == 0 || r.pending < len(r.jobs) || len(r.events) > 0 {
		return false
	}
	if r.result.idle++; r.result.idle < 10_000 { // held by a budget, perhaps, or a schedule
		return false
	}
	r.result.Stuck = r.pending
	return true
}

func (r *replay) at(t time.Time, do func()) {
	r.seq++
	heap.Push(&r.events, event{t, r.seq, do})
}

// tick is the first read of the queue from t on.
func (r *replay) tick(t time.Time) time.Time {
	into := t.Sub(r.start) % r.Interval
	if into == 0 {
		return t
	}
	return t.Add(r.Interval - into)
}

// want has the queue read at the first tick from t on.
func (r *replay) want(t time.Time) {
	if t = r.tick(t); r.next.IsZero() || t.Before(r.next) {
		r.next = t
	}
}

func (r *replay) look() {
	r.roster = r.Pools.At(r.now)
	r.learns = scale.Learns(r.roster.Pools)
	r.buffered = r.learns
	for _, p := range r.roster.Pools {
		r.buffered = r.buffered || p.Buffer > 0
	}
}

// decide makes a pass as the reconciler does, and does what was decided.
func (r *replay) decide() {
	r.result.Decisions++
	if r.Scheduled {
		r.look()
	}
	r.snapshotStages()
	if r.learns {
		r.learn()
	}
	r.servers = r.servers[:0]
	for _, m := range r.machines {
		r.servers = append(r.servers, m.record)
	}
	d := r.Policy(scale.Observation{
		At: r.now, Stages: r.stages, Servers: r.servers, Spent: r.spent(), Max: r.roster.Max, SSH: true, Grace: 2 * time.Minute, Overdue: time.Hour,
	}, r.roster.Pools)
	for _, s := range d.Servers {
		r.move(r.named[s.Server], s)
	}
	held := false
	for _, p := range d.Pools {
		held = held || p.Held != "" && p.Held != scale.HeldMaximum
		for range p.Create {
			r.order(r.roster.Pool(p.Pool))
		}
	}
	r.dispatch() // what was put back to work takes builds
	r.schedule(held)
}

// schedule wants the next read.
func (r *replay) schedule(held bool) {
	later := r.now.Add(r.Interval)
	if r.Always {
		r.want(later)
	}
	if r.Scheduled || r.learns || held {
		r.want(r.now.Truncate(time.Minute).Add(time.Minute))
	}
	for _, m := range r.machines {
		switch s := &m.record; s.Phase {
		case state.Shutdown, state.Failed:
			if m.load == 0 {
				r.want(later)
			}
		case state.Running:
			if m.load == 0 {
				if leave := scale.MayLeave(*s, r.roster.Pool(s.Pool), r.now); leave.After(r.now) {
					r.want(leave)
				}
			}
		}
	}
}

func (r *replay) finish() *Result {
	for _, m := range r.machines {
		r.result.paid(m.record, r.now, r.Machines.Billed)
	}
	r.result.alive(r.now, len(r.machines), r.pending)
	r.result.To, r.result.Machines = r.now, r.made
	r.result.conclude()
	return r.result
}
