// Package reconciler holds Hangar's control loops. The fast one, Reconciler,
// observes the build queue, decides and commits, in milliseconds. The slow
// one, Converger, takes every stack from what it is to what is wanted, through
// Terraform. They meet in the store and only ever wake each other.
package reconciler

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"hangar/reconciler/scale"
	"hangar/state"
)

// Queue reads the Drone server's build queue.
type Queue interface {
	Queue(ctx context.Context) ([]state.Stage, error)
}

// Pools tells which pools there are at an instant: they are read again, and have
// schedules.
type Pools interface {
	At(t time.Time) state.Roster
}

// Records is what the fast loop needs of the store.
type Records interface {
	Snapshot(ctx context.Context, now time.Time) (state.Snapshot, error)
	Leads(ctx context.Context) (map[string]state.Lead, error)
	Commit(ctx context.Context, c state.Changes) error
	Server(ctx context.Context, name string) (state.Server, error)
	SetPaused(ctx context.Context, paused bool, by string, at time.Time) error
	Run(ctx context.Context, id int64) (state.Run, error)
	Approve(ctx context.Context, run int64, by string, at time.Time) error
	Discard(ctx context.Context, run int64, by string, at time.Time, demand state.Demand) error
}

// Reconciler is the fast loop. Its methods may be called at any time.
type Reconciler struct {
	Queue     Queue
	Records   Records
	Pools     Pools
	StackSize int           // servers in a stack, at most
	Spread    int           // stacks over which a burst is spread, unless they would be small
	SSH       bool          // machines are reached
	Grace     time.Duration // see scale.Observation
	Overdue   time.Duration // see scale.Observation
	Interval  time.Duration // between reads of the queue
	Gap       time.Duration // between the beginnings of two passes, at least, however often Poke is called
	Now       func() time.Time
	Log       *slog.Logger
	Committed func() // called when something was committed that the slow loop may act upon
	QueueRead func() // called when the queue has been read
	// Decided is called with what a pass saw, the queue and the servers before it,
	// and with what it decided, once that is committed.
	Decided func(stages []state.Stage, servers []state.Server, d state.Decision)
	// Ended is called when a person has discarded a run.
	Ended func(run state.Run, f state.Finish)

	wake chan struct{}

	mu       sync.Mutex     // held from a snapshot to what is committed upon it
	arrivals scale.Arrivals // what buffers are learned from; under mu

	begun atomic.Pointer[time.Time] // when the pass that runs began; nil: none does
}

// New returns a Reconciler with the defaults of the settings that have one.
func New(queue Queue, records Records, pools Pools) *Reconciler {
	return &Reconciler{
		Queue: queue, Records: records, Pools: pools,
		StackSize: 100, Spread: max(2, runtime.NumCPU()), Interval: 10 * time.Second, Gap: 100 * time.Millisecond, Grace: 2 * time.Minute, Overdue: time.Hour,
		Now: time.Now, Log: slog.Default(), Committed: func() {},
		QueueRead: func() {}, Decided: func([]state.Stage, []state.Server, state.Decision) {}, Ended: func(state.Run, state.Finish) {},
		wake: make(chan struct{}, 1),
	}
}

// Poke asks for a pass at once. It never blocks; pokes coalesce.
func (r *Reconciler) Poke() { poke(r.wake) }

func poke(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// Run makes a pass now, every Interval and whenever it is poked, until ctx
// ends. A pass that fails is logged and made again; it ends nothing.
func (r *Reconciler) Run(ctx context.Context) error {
	tick := time.NewTicker(r.Interval)
	defer tick.Stop()
	pace := rate.NewLimiter(rate.Every(r.Gap), 1)
	told := "" // an outage is told when it begins, changes and ends, not at every pass
	for {
		_, err := r.Pass(ctx)
		switch {
		case ctx.Err() != nil:
		case err == nil && told != "":
			r.Log.Info("decisions are made again")
			told = ""
		case err != nil && err.Error() != told:
			r.Log.Error("nothing is decided", "error", err, "again_every", r.Interval)
			told = err.Error()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-r.wake:
		}
		// The first poke of a burst is followed at once, the rest of it together.
		if pace.Wait(ctx) != nil {
			return nil // ctx has ended
		}
		select {
		case <-r.wake: // the pass that comes is for it, too
		default:
		}
	}
}

// Pass observes, decides and commits once. If a part of the observation
// fails, nothing is decided.
func (r *Reconciler) Pass(ctx context.Context) (state.Decision, error) {
	begun := r.Now()
	r.begun.Store(&begun)
	defer r.begun.Store(nil)
	return r.pass(ctx)
}

func (r *Reconciler) pass(ctx context.Context) (state.Decision, error) {
	// The queue is read before the records, so that a server that the records
	// show as idle is idle by a read no newer than them.
	// Records keep microseconds: a finer instant would look like a later one
	// when it is read back.
	at := r.Now().UTC().Truncate(time.Microsecond)
	stages, err := r.Queue.Queue(ctx)
	if err != nil {
		return state.Decision{}, fmt.Errorf("read the build queue: %w", err)
	}
	r.QueueRead()
	r.mu.Lock() // not while Drone is asked: an order does not wait for it
	defer r.mu.Unlock()
	roster := r.Pools.At(at)
	if scale.Learns(roster.Pools) {
		leads, err := r.Records.Leads(ctx)
		if err != nil {
			return state.Decision{}, fmt.Errorf("read the records: %w", err)
		}
		r.arrivals.See(at, stages, roster.Pools, leads)
		roster.Pools = r.arrivals.Learn(at, roster.Pools, leads)
	}
	for {
		snap, err := r.Records.Snapshot(ctx, at)
		if err != nil {
			return state.Decision{}, fmt.Errorf("read the records: %w", err)
		}
		d := scale.Decide(r.observation(at, stages, roster, snap), roster.Pools)
		c := r.changes(d, roster, snap)
		if c.Decision == nil && len(c.Moves) == 0 && len(c.Marks) == 0 && len(c.Over) == 0 {
			r.Decided(stages, snap.Servers, d)
			return d, nil
		}
		err = r.Records.Commit(ctx, c)
		if state.CodeOf(err) == state.Conflict {
			continue // the slow loop was quicker: what it changed is seen next time round
		}
		if err != nil {
			return state.Decision{}, fmt.Errorf("commit the decision: %w", err)
		}
		if d.Changed() {
			r.logDecision(d, c)
		}
		if d.Changed() || len(c.Over) > 0 {
			r.Committed()
		}
		r.logHeld(d, snap.Last)
		r.logAlarms(d, snap.Servers)
		r.Decided(stages, snap.Servers, d)
		return d, nil
	}
}

// observation is what a pass, or an explanation, sees.
func (r *Reconciler) observation(at time.Time, stages []state.Stage, roster state.Roster, snap state.Snapshot) scale.Observation {
	return scale.Observation{
		At: at, Stages: stages, Servers: snap.Servers, Backoffs: snap.Backoffs, Paused: snap.Paused, Spent: snap.Spent, Max: roster.Max, Discards: snap.Discards,
		SSH: r.SSH, Grace: r.Grace, Overdue: r.Overdue,
	}
}

func (r *Reconciler) logDecision(d state.Decision, c state.Changes) {
	count := make(map[state.Action]int)
	for _, s := range d.Servers {
		count[s.Action]++
	}
	waiting := 0
	for _, p := range d.Pools {
		waiting += p.Waiting
	}
	r.Log.Info("decided", "waiting", waiting, "create", len(c.Servers), "stacks", len(c.Stacks),
		"drain", count[state.Drain], "revive", count[state.Revive], "stop", count[state.Stop], "drop", count[state.Drop])
	for _, p := range d.Pools {
		if p.Create > 0 {
			r.Log.Info("pool", "pool", p.Pool, "reason", p.Reason)
		}
	}
	for _, s := range d.Servers {
		if s.Action != state.Keep {
			r.Log.Info("server", "server", s.Server, "action", s.Action, "reason", s.Reason)
		}
	}
}

// logHeld tells what now keeps a pool from what it wants, and which stages no
// pool may run, when that was not so at the decision before.
func (r *Reconciler) logHeld(d, before state.Decision) {
	held := make(map[string]string)
	for _, p := range before.Pools {
		held[p.Pool] = p.Held
	}
	for _, p := range d.Pools {
		if p.Held != "" && p.Held != held[p.Pool] {
			r.Log.Warn("a pool is held back", "pool", p.Pool, "by", p.Held, "reason", p.Reason)
		}
	}
	for _, u := range d.Unmatched {
		if !slices.ContainsFunc(before.Unmatched, func(b state.Unmatched) bool { return b.Asks == u.Asks }) {
			r.Log.Warn("no pool may run what stages ask for", "stages", len(u.Stages), "ask", u.Asks, "reason", u.Reason)
		}
	}
}

// logAlarms tells of servers whose drain takes too long, or on which stages
// hang, when that is new.
func (r *Reconciler) logAlarms(d state.Decision, before []state.Server) {
	for i, s := range d.Servers { // in the order in which they were observed
		if s.Alarm && s.Reason != before[i].Reason {
			r.Log.Warn("a drain takes long", "server", s.Server, "reason", s.Reason)
		}
	}
}

// Health reports a loop that hangs. A Drone server that does not answer is not
// a failure of hangar's: the pass ends with an error and is made again.
func (r *Reconciler) Health() error {
	begun := r.begun.Load()
	if begun == nil {
		return nil
	}
	if hung := r.Now().Sub(*begun); hung > 2*time.Minute {
		return state.Errorf(state.Unavailable, "the reconcile loop has hung for %s", hung.Round(time.Second))
	}
	return nil
}
