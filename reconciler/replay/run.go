package replay

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"hangar/reconciler/scale"
	"hangar/state"
)

// Pools tells which pools there are at an instant.
type Pools interface {
	At(t time.Time) state.Roster
}

// Setup is what a trace is replayed with.
type Setup struct {
	Name      string
	Policy    Policy
	Pools     Pools
	Scheduled bool          // the pools change with the time of day
	Interval  time.Duration // between reads of the queue
	Always    bool          // the policy may decide otherwise although nothing has happened
	Machines  Machines
}

// Machines is what machines are like.
type Machines struct {
	Boot   []time.Duration // from the order until builds run; each machine draws one of them
	Fail   float64         // share of machines that fail instead, when they have taken that long
	Billed time.Duration   // what is paid for is begun anew after so long; 0: by the second
	Seed   uint64          // of the draws
}

const (
	orderTime   = 2 * time.Second  // from a decision until its machines are ordered
	drainTime   = time.Second      // until a runner without builds has ended
	destroyTime = 10 * time.Second // until a machine is billed no more
)

// job is a stage of the trace on its way.
type job struct {
	stage state.Stage
	runs  time.Duration
	fits  map[string]bool // the pools that may run it
	on    *machine        // nil: it waits
	held  bool            // by its limit
}

// machine is a server with what the replay knows of it beyond its record.
type machine struct {
	record state.Server
	load   int
}

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
	limited  bool // some stage has a limit
	free     int  // places on running machines
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
		named: map[string]*machine{}, result: &Result{Name: setup.Name, From: trace[0].At},
	}
	r.look()
	r.want(r.start)
	for i := 0; i < len(trace) || r.pending > 0 || len(r.jobs) > 0; {
		if r.seq&0xffff == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if r.goal > 0 && (r.late < 0 || r.billed > 0 && r.result.Billed >= r.billed) {
			return nil, nil
		}
		at, what := time.Time{}, 0
		if i < len(trace) {
			at, what = trace[i].At, 1
		}
		if len(r.events) > 0 && (what == 0 || !r.events[0].at.After(at)) {
			at, what = r.events[0].at, 2
		}
		if !r.next.IsZero() && (what == 0 || r.next.Before(at)) {
			at, what = r.next, 3
		}
		if what == 0 {
			r.result.Stuck = r.pending // nothing will ever run them
			break
		}
		r.now = at
		r.seq++
		switch what {
		case 1:
			r.arrive(trace[i], int64(i+1))
			i++
		case 2:
			heap.Pop(&r.events).(event).do()
		case 3:
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
	r.buffered = false
	for _, p := range r.roster.Pools {
		r.buffered = r.buffered || p.Buffer > 0
	}
}

func (r *replay) arrive(s Stage, id int64) {
	j := &job{stage: s.stage(id), runs: s.Runs, fits: map[string]bool{}}
	for _, p := range r.roster.Pools {
		if scale.Matches(j.stage, p) {
			j.fits[p.Name] = true
		}
	}
	r.result.Stages++
	if len(j.fits) == 0 {
		r.result.Unmatched++
		return
	}
	r.limited = r.limited || s.Limit > 0
	r.jobs = append(r.jobs, j)
	r.pending++
	r.dispatch()
	if j.on == nil || r.buffered {
		r.want(r.now)
	}
}

// dispatch gives stages that wait to runners with room, the oldest first, each to
// one that happens to ask.
func (r *replay) dispatch() {
	if r.free == 0 || r.pending == 0 {
		return
	}
	if r.limited {
		r.snapshotStages()
		for i, held := range scale.HeldBack(r.stages) {
			r.jobs[i].held = held
		}
	}
	for _, j := range r.jobs {
		if r.free == 0 || r.pending == 0 {
			return
		}
		if j.on != nil || j.held {
			continue
		}
		var chosen *machine
		rooms := 0
		for _, m := range r.machines {
			if room := m.record.Capacity - m.load; m.record.Phase == state.Running && room > 0 && j.fits[m.record.Pool] {
				if rooms += room; r.rand.IntN(rooms) < room {
					chosen = m
				}
			}
		}
		if chosen != nil {
			r.begin(j, chosen)
		}
	}
}

func (r *replay) begin(j *job, m *machine) {
	j.on, j.stage.Machine, j.stage.Running = m, m.record.Name, true
	m.load++
	r.free--
	r.pending--
	seen := r.tick(r.now) // by the read that will show it
	m.record.IdleSince = time.Time{}
	if m.record.Served.IsZero() {
		m.record.Served = seen
	}
	r.result.waited(r.now.Sub(j.stage.Created))
	if r.now.Sub(j.stage.Created) > r.goal {
		r.late--
	}
	r.result.busy += j.runs.Seconds()
	r.at(r.now.Add(j.runs), func() { r.end(j) })
}

func (r *replay) end(j *job) {
	for i := range r.jobs {
		if r.jobs[i] == j {
			r.jobs = append(r.jobs[:i], r.jobs[i+1:]...)
			break
		}
	}
	m := j.on
	if m.load--; m.record.Phase == state.Running {
		r.free++
		r.dispatch()
	}
	if m.load == 0 {
		r.idle(m)
	}
	if r.buffered {
		r.want(r.now)
	}
}

// idle notes that a machine runs nothing, and has the queue read when it may leave.
func (r *replay) idle(m *machine) {
	if m.record.Phase != state.Running {
		r.want(r.now)
		return
	}
	seen := r.tick(r.now)
	m.record.IdleSince = seen
	r.want(scale.MayLeave(m.record, r.roster.Pool(m.record.Pool), seen))
}

func (r *replay) snapshotStages() {
	r.stages = r.stages[:0]
	for _, j := range r.jobs {
		r.stages = append(r.stages, j.stage)
	}
}

// decide makes a pass as the reconciler does, and does what was decided.
func (r *replay) decide() {
	r.result.Decisions++
	if r.Scheduled {
		r.look()
	}
	r.snapshotStages()
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
	if r.Scheduled || held {
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

// spent is what the pools have used of their budgets.
func (r *replay) spent() map[string]state.Spent {
	spent := map[string]state.Spent{}
	day := r.now.Truncate(24 * time.Hour)
	wasted := func(s state.Spent, began time.Time) state.Spent {
		if s.Creates++; s.Oldest.IsZero() || began.Before(s.Oldest) {
			s.Oldest = began
		}
		return s
	}
	r.wasted = slices.DeleteFunc(r.wasted, func(s state.Server) bool { return r.now.Sub(s.Began) >= time.Hour })
	for _, gone := range r.wasted {
		spent[gone.Pool] = wasted(spent[gone.Pool], gone.Began)
	}
	for _, m := range r.machines {
		s := spent[m.record.Pool]
		if m.record.Served.IsZero() && r.now.Sub(m.record.Began) < time.Hour {
			s = wasted(s, m.record.Began)
		}
		from := m.record.Created
		if from.Before(day) {
			from = day
		}
		s.Cost += r.now.Sub(from).Hours() * m.record.Price
		spent[m.record.Pool] = s
	}
	return spent
}

// order makes a machine.
func (r *replay) order(p state.Pool) {
	r.made++
	m := &machine{record: state.Server{
		Name: fmt.Sprintf("agent-%d", r.made), Pool: p.Name, Phase: state.Creating, Capacity: p.Concurrency, Created: r.now, Updated: r.now, Began: r.now.Add(orderTime),
	}}
	if len(p.Candidates) > 0 {
		m.record.Price, m.record.Spec = p.Candidates[0].Price, p.Candidates[0].Spec
	}
	m.record.ID, m.record.Address = m.record.Name, m.record.Name
	r.machines = append(r.machines, m)
	r.named[m.record.Name] = m
	r.result.alive(r.now, len(r.machines), r.pending)
	boot := r.Machines.Boot[r.rand.IntN(len(r.Machines.Boot))]
	fails := r.rand.Float64() < r.Machines.Fail
	r.at(m.record.Began.Add(boot), func() {
		if m.record.Phase != state.Creating {
			return
		}
		m.record.Updated = r.now
		if fails {
			m.record.Phase = state.Failed
			r.result.Failed++
			r.want(r.now)
			return
		}
		r.runs(m)
		m.record.Started = r.now
	})
}

// runs lets a machine take builds.
func (r *replay) runs(m *machine) {
	m.record.Phase = state.Running
	r.free += m.record.Capacity - m.load
	r.dispatch()
	if m.load == 0 {
		r.idle(m)
	}
	r.want(r.now)
}

// move does what was decided of a server.
func (r *replay) move(m *machine, d state.ServerDecision) {
	s := &m.record
	if d.Action == state.Keep {
		s.Served, s.IdleSince, s.QuietSince = d.Served, d.IdleSince, d.QuietSince
		return
	}
	if s.Phase == state.Running {
		r.free -= s.Capacity - m.load
	}
	s.Phase, s.Updated, s.QuietSince = d.To, r.now, time.Time{}
	switch d.Action {
	case state.Drain:
		s.Told = r.now
		r.drained(m)
	case state.Revive:
		s.Told, s.Drained, s.IdleSince = time.Time{}, time.Time{}, time.Time{}
		r.at(r.now.Add(drainTime), func() {
			if s.Phase == d.To {
				r.runs(m)
			}
		})
		if d.To == state.Running { // it was told nothing yet
			s.Phase = state.Staging
		}
	case state.Stop, state.Drop:
		s.Phase = state.Stopping
		r.at(r.now.Add(destroyTime), func() { r.gone(m) })
	}
}

// drained lets the runner of a draining machine end once it has no builds.
func (r *replay) drained(m *machine) {
	told := m.record.Told
	r.at(r.now.Add(drainTime), func() {
		switch {
		case m.record.Phase != state.Shutdown || !m.record.Told.Equal(told):
		case m.load > 0:
			r.drained(m)
		default:
			m.record.Drained = r.now
			r.want(r.now.Add(time.Nanosecond))
		}
	})
}

func (r *replay) gone(m *machine) {
	for i := range r.machines {
		if r.machines[i] == m {
			r.machines = append(r.machines[:i], r.machines[i+1:]...)
			break
		}
	}
	delete(r.named, m.record.Name)
	if m.record.Served.IsZero() {
		r.wasted = append(r.wasted, m.record)
	}
	r.result.paid(m.record, r.now, r.Machines.Billed)
	r.result.alive(r.now, len(r.machines), r.pending)
	r.want(r.now)
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
