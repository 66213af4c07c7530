package reconciler

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"hangar/state"
)

// Asker asks the provider which devices there are.
type Asker interface {
	Census(ctx context.Context, q state.Question) ([]state.Found, error)
	// Scope names what a census of a module with these settings looks through:
	// two that see the same devices have the same one.
	Scope(module string, settings map[string]any) (string, error)
}

// SweepStore is what the sweep needs of the store.
type SweepStore interface {
	Snapshot(ctx context.Context, now time.Time) (state.Snapshot, error)
	Stacks(ctx context.Context) ([]state.Stack, error)
	Unfinished(ctx context.Context) ([]state.Run, error)
	Findings(ctx context.Context) ([]state.Finding, error)
	Takeover(ctx context.Context) (yes bool, since time.Time, err error)
	Held(ctx context.Context) (devices []string, err error)
	Commit(ctx context.Context, c state.Changes) error
	LookAgain(ctx context.Context, stack string, at time.Time, unclean string) error
}

// Sweeper compares the provider's own list with the records: now and then,
// and whenever it is poked. Nothing waits for it.
type Sweeper struct {
	Store SweepStore
	Asker Asker
	Pools Pools

	Instance string        // whose devices are ours
	Interval time.Duration // between sweeps
	Confirm  time.Duration // until what a sweep found must be found again to count

	Now  func() time.Time
	Log  *slog.Logger
	Look func()                       // called when there is something to look at, or to do
	Made func(servers []state.Server) // called with the records that a sweep made for devices it found

	wake chan struct{}
	turn chan struct{} // one sweep at a time

	mu   sync.Mutex
	last state.Audit // without its findings
}

// NewSweeper returns a Sweeper with the defaults of the settings.
func NewSweeper(store SweepStore, asker Asker, pools Pools, instance string) *Sweeper {
	return &Sweeper{
		Store: store, Asker: asker, Pools: pools, Instance: instance,
		Interval: 10 * time.Minute, Confirm: time.Minute,
		Now: time.Now, Log: slog.Default(), Look: func() {}, Made: func([]state.Server) {},
		wake: make(chan struct{}, 1), turn: make(chan struct{}, 1),
	}
}

// Poke asks for a sweep at once. It never blocks; pokes coalesce.
func (s *Sweeper) Poke() { poke(s.wake) }

// Run sweeps now, every Interval, when what was found is to be confirmed, and
// whenever it is poked, until ctx ends. A sweep that fails ends nothing.
func (s *Sweeper) Run(ctx context.Context) error {
	for {
		audit, err := s.sweep(ctx, undecided)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.Log.Error("the sweep failed; nothing is concluded", "error", err)
		}
		alarm := time.NewTimer(s.until(audit, err))
		select {
		case <-ctx.Done():
		case <-alarm.C:
		case <-s.wake:
			// Pokes come in bursts, one for every run that did not end well: what
			// follows within Confirm of the last sweep is seen by the next one.
			select {
			case <-ctx.Done():
			case <-time.After(s.Confirm):
			}
		}
		alarm.Stop()
	}
}

// until is how long the next sweep waits: less than Interval when something
// is to be confirmed, or could not be read.
func (s *Sweeper) until(audit state.Audit, err error) time.Duration {
	wait := s.Interval
	if err != nil || audit.Error != "" {
		return min(wait, max(s.Confirm, time.Second))
	}
	if audit.Early {
		wait = min(wait, takeoverTime(s.Confirm))
	}
	for _, f := range audit.Findings {
		if !f.Held && (f.Kind == state.Orphan || f.Kind == state.Gone) {
			if due := f.First.Add(s.Confirm); f.Last.Before(due) {
				wait = min(wait, due.Sub(s.Now()))
			}
		}
	}
	return max(wait, 50*time.Millisecond)
}

// Last returns what the newest sweep found, as far as it has not ended since.
func (s *Sweeper) Last(ctx context.Context) (state.Audit, error) {
	s.mu.Lock()
	audit := s.last
	s.mu.Unlock()
	var err error
	audit.Findings, err = s.Store.Findings(ctx)
	return audit, err
}

// Sweep makes one sweep, and does what follows from it.
func (s *Sweeper) Sweep(ctx context.Context) (state.Audit, error) { return s.asked(ctx, undecided) }

// Adopt makes a sweep and takes over the devices that were held for the decision
// of a person, by login: machines of an installation whose records are lost.
func (s *Sweeper) Adopt(ctx context.Context, by string) (state.Audit, error) {
	return s.ordered(ctx, adopt, state.Order{Kind: state.OrderedAdoption, By: by, Reason: "machines that were held are taken over"})
}

// Destroy makes a sweep and destroys the devices that were held for the decision
// of a person, by login, each when no stage is on it.
func (s *Sweeper) Destroy(ctx context.Context, by string) (state.Audit, error) {
	return s.ordered(ctx, destroy, state.Order{Kind: state.OrderedRemoval, By: by, Reason: "machines that were held are removed"})
}

func (s *Sweeper) ordered(ctx context.Context, wish wish, order state.Order) (state.Audit, error) {
	if err := s.Store.Commit(ctx, state.Changes{At: s.Now().UTC(), Order: &order}); err != nil {
		return state.Audit{}, fmt.Errorf("commit the order: %w", err)
	}
	return s.asked(ctx, wish)
}

// asked makes a sweep on demand. What it found is confirmed in time.
func (s *Sweeper) asked(ctx context.Context, wish wish) (state.Audit, error) {
	audit, err := s.sweep(ctx, wish)
	if wait := s.until(audit, err); wait < s.Interval {
		time.AfterFunc(wait, s.Poke)
	}
	return audit, err
}

// wish is what a person wants done with devices that were held.
type wish int

const (
	undecided wish = iota
	adopt
	destroy
)

func (s *Sweeper) sweep(ctx context.Context, wish wish) (state.Audit, error) {
	if !take(ctx, s.turn) {
		return state.Audit{}, ctx.Err()
	}
	defer func() { <-s.turn }()
	for try := 1; ; try++ {
		v, audit, err := s.look(ctx)
		if err != nil {
			return state.Audit{}, fmt.Errorf("sweep: %w", err)
		}
		v.wish = wish
		c, looks := v.judge()
		c.At = audit.At
		err = s.Store.Commit(ctx, c)
		if state.CodeOf(err) == state.Conflict && try < 5 {
			continue // something has moved on since: look again
		}
		if err != nil {
			return state.Audit{}, fmt.Errorf("record a sweep: %w", err)
		}
		for _, stack := range looks {
			if err := s.Store.LookAgain(ctx, stack, s.Now(), ""); err != nil {
				return state.Audit{}, fmt.Errorf("sweep: %w", err)
			}
		}
		if audit.Error = v.trouble(); audit.Error != "" {
			s.Log.Warn("a sweep could not look everywhere; nothing is concluded from it", "error", audit.Error)
		}
		s.mu.Lock()
		s.last = audit
		s.mu.Unlock()
		s.tell(c, v.earlier)
		s.Made(c.Servers)
		if len(looks)+len(c.Sightings)+len(c.Servers) > 0 {
			s.Look()
		}
		return s.Last(ctx)
	}
}

// tell logs what is new.
func (s *Sweeper) tell(c state.Changes, earlier []state.Finding) {
	known := make(map[findingKey]bool)
	for _, f := range earlier {
		known[keyOf(f)] = true
	}
	for _, f := range c.Findings {
		if !known[keyOf(f)] {
			s.Log.Warn("found", "kind", f.Kind, "device", f.Device, "server", f.Server, "stack", f.Stack, "detail", f.Detail, "action", f.Action)
		}
	}
	for _, x := range c.Sightings {
		s.Log.Info("sweep", "server", x.Seen.Name, "phase", x.To, "absent", x.Absent, "reason", x.Reason)
	}
	for _, x := range c.Servers {
		s.Log.Warn("sweep", "server", x.Name, "device", x.ID, "phase", x.Phase, "reason", x.Reason)
	}
}

// look asks every provider, then reads the records.
func (s *Sweeper) look(ctx context.Context) (view, state.Audit, error) {
	v := view{instance: s.Instance, confirm: s.Confirm, began: s.Now().UTC().Truncate(time.Microsecond)}
	v.pools = s.Pools.At(v.began).Pools
	audit := state.Audit{At: v.began}
	questions, err := s.questions(ctx)
	if err != nil {
		return v, audit, err
	}
	for _, q := range questions {
		a := area{scope: q.scope, template: q.template, others: q.others}
		a.found, a.err = s.ask(ctx, q.Question)
		if ctx.Err() != nil {
			return v, audit, ctx.Err()
		}
		if state.CodeOf(a.err) == state.NotFound {
			s.Log.Debug("nothing is swept", "error", a.err)
			if !slices.Contains(audit.Blind, q.template.Provider) {
				audit.Blind = append(audit.Blind, q.template.Provider)
			}
			continue // nobody can look there, which was told at the start
		}
		v.areas = append(v.areas, a)
		for _, f := range a.found {
			if f.Instance == s.Instance && f.State != state.FoundLeaving {
				audit.Devices++
			}
		}
	}
	snap, err := s.Store.Snapshot(ctx, v.began)
	if err != nil {
		return v, audit, err
	}
	v.servers = snap.Servers
	if v.stacks, v.scopes, err = s.stacks(ctx); err != nil {
		return v, audit, err
	}
	runs, err := s.Store.Unfinished(ctx)
	if err != nil {
		return v, audit, err
	}
	v.busy = make(map[string]bool)
	for _, r := range runs {
		v.busy[r.Stack] = !r.Awaits()
	}
	if v.takeover, v.since, err = s.Store.Takeover(ctx); err != nil {
		return v, audit, err
	}
	audit.Early = v.takeover
	held, err := s.Store.Held(ctx)
	if err != nil {
		return v, audit, err
	}
	v.held = make(map[string]bool, len(held))
	for _, id := range held {
		v.held[id] = true
	}
	v.earlier, err = s.Store.Findings(ctx)
	return v, audit, err
}

// findingKey is what a finding is about.
type findingKey struct {
	kind           state.FindingKind
	device, server string
}

func keyOf(f state.Finding) findingKey {
	return findingKey{f.Kind, f.Device, f.Server}
}

// poolOf is the pool that takes over a device of a provider.
func poolOf(pools []state.Pool, template state.Stack) state.Pool {
	for _, p := range pools {
		if p.Name == template.Pool {
			return p
		}
	}
	return state.Pool{Name: template.Pool, NamePrefix: "agent-", Concurrency: 1}
}

func prefixOf(p state.Pool) string { return cmp.Or(p.NamePrefix, "agent-") }
