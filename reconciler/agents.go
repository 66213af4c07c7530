package reconciler

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"hangar/state"
)

// Machines is what is done on a machine over SSH. One that does not answer is
// Unavailable, one that answers with another host key is Untrusted.
type Machines interface {
	Look(ctx context.Context, h state.Host) (state.AgentLook, error)
	// Drain tells the runner to take no more work; it ends when it has none. It
	// is to be repeated until a look shows that it has: telling it twice is
	// telling it once.
	Drain(ctx context.Context, h state.Host) error
	// Revive starts a runner that has drained. It is a Conflict while that still
	// ends.
	Revive(ctx context.Context, h state.Host) error
	// Restart starts a runner that is gone.
	Restart(ctx context.Context, h state.Host) error
	// Tail returns the end of the log of the machine's setup.
	Tail(ctx context.Context, h state.Host) (string, error)
}

// AgentStore is what the agents' loop needs of the store.
type AgentStore interface {
	Snapshot(ctx context.Context, now time.Time) (state.Snapshot, error)
	Commit(ctx context.Context, c state.Changes) error
}

// Agents is the loop that looks after the runners on the machines: it follows
// the setup of new ones, tells those that are to leave to take no more work and
// waits until they have none, and starts again what has ended by itself.
type Agents struct {
	Store    AgentStore
	Machines Machines

	Check    time.Duration // between looks at a machine that is being set up
	Deadline time.Duration // by which a new machine is to be ready
	Ping     time.Duration // between looks at one that works; 0: none
	Grace    time.Duration // for which a working one may fail to answer before it is replaced
	Private  bool          // private addresses are used
	AtOnce   int           // machines at once

	Now     func() time.Time
	Log     *slog.Logger
	Changed func() // called when a server has changed

	wake chan struct{}
	work sync.WaitGroup

	mu   sync.Mutex
	busy map[string]bool      // servers at whose machine somebody is
	next map[string]time.Time // when a server is looked at next; in what phase does not matter
	seen map[string]state.Phase
}

// NewAgents returns an Agents with the defaults of the settings.
func NewAgents(store AgentStore, machines Machines) *Agents {
	return &Agents{
		Store: store, Machines: machines,
		Check: 5 * time.Second, Deadline: 30 * time.Minute, Ping: 10 * time.Minute, Grace: 2 * time.Minute, AtOnce: 64,
		Now: time.Now, Log: slog.Default(), Changed: func() {},
		wake: make(chan struct{}, 1),
		busy: map[string]bool{}, next: map[string]time.Time{}, seen: map[string]state.Phase{},
	}
}

// Poke asks for a look at the records at once. It never blocks; pokes coalesce.
func (a *Agents) Poke() { poke(a.wake) }

// Run looks after the machines until ctx ends. What is under way then is called
// off: whatever was told to a machine is told again at the next start.
func (a *Agents) Run(ctx context.Context) error {
	defer a.work.Wait()
	slots := make(chan struct{}, a.AtOnce)
	for ctx.Err() == nil {
		wait := 30 * time.Second
		if next, err := a.start(ctx, slots); err != nil && ctx.Err() == nil {
			a.Log.Error("no machine was looked at", "error", err)
			wait = patience
		} else if !next.IsZero() {
			wait = max(10*time.Millisecond, min(wait, next.Sub(a.Now())))
		}
		alarm := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-alarm.C:
		case <-a.wake:
		}
		alarm.Stop()
	}
	return nil
}

// start begins the work at every machine that is due, and returns when the
// next one is.
func (a *Agents) start(ctx context.Context, slots chan struct{}) (next time.Time, err error) {
	snap, err := a.Store.Snapshot(ctx, a.Now())
	if err != nil {
		return next, err
	}
	present := make(map[string]bool, len(snap.Servers))
	for _, s := range snap.Servers {
		present[s.Name] = true
		due, ok := a.claim(s)
		if !ok {
			if !due.IsZero() && (next.IsZero() || due.Before(next)) {
				next = due
			}
			continue
		}
		a.work.Go(func() {
			pause := a.Check
			if take(ctx, slots) {
				pause = a.tend(ctx, s)
				<-slots
			}
			a.release(s.Name, pause)
		})
	}
	a.forget(present)
	return next, nil
}

// claim takes a server whose machine is due for a look. Otherwise it returns
// when it will be; zero: there is nothing to be done there, or it is being done.
func (a *Agents) claim(s state.Server) (due time.Time, ok bool) {
	if !a.minds(s) {
		return time.Time{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen[s.Name] != s.Phase { // something else is to be done now
		a.seen[s.Name] = s.Phase
		if s.Phase == state.Running && a.Ping > 0 {
			a.next[s.Name] = a.Now().Add(a.Ping)
		} else {
			delete(a.next, s.Name)
		}
	}
	if a.busy[s.Name] { // its release wakes the loop
		return time.Time{}, false
	}
	if due = a.next[s.Name]; due.After(a.Now()) {
		return due, false
	}
	a.busy[s.Name] = true
	return due, true
}

// minds says whether there is something to be done at a server's machine.
func (a *Agents) minds(s state.Server) bool {
	if !s.Reachable() || s.ID == "" || !s.Doubt.IsZero() {
		return false
	}
	switch s.Phase {
	case state.Created, state.Staging:
		return true
	case state.Shutdown, state.Failed:
		return s.Drained.IsZero()
	case state.Running:
		return a.Ping > 0
	}
	return false
}

func (a *Agents) release(server string, pause time.Duration) {
	a.mu.Lock()
	delete(a.busy, server)
	a.next[server] = a.Now().Add(pause)
	a.mu.Unlock()
	a.Poke()
}

// forget drops what is remembered of servers that are gone.
func (a *Agents) forget(present map[string]bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for server := range a.seen {
		if !present[server] && !a.busy[server] {
			delete(a.seen, server)
			delete(a.next, server)
		}
	}
}

func (a *Agents) host(s state.Server) state.Host {
	h := state.Host{Server: s.Runner(), Address: s.Address}
	if a.Private && s.PrivateAddress != "" {
		h.Address = s.PrivateAddress
	}
	return h
}

// commit records what was seen, unless the server has moved on meanwhile.
func (a *Agents) commit(ctx context.Context, to state.Sighting) (state.Server, bool) {
	err := a.Store.Commit(ctx, state.Changes{At: a.Now().UTC(), Sightings: []state.Sighting{to}})
	if err != nil {
		if state.CodeOf(err) != state.Conflict && ctx.Err() == nil {
			a.Log.Error("what a machine shows could not be recorded", "server", to.Seen.Name, "error", err)
		}
		return to.Seen, false
	}
	if to.To != to.Seen.Phase || !to.Agent.Drained.Equal(to.Seen.Drained) || to.Agent.Unreachable.IsZero() != to.Seen.Unreachable.IsZero() {
		a.Log.Info("machine", "server", to.Seen.Name, "phase", to.To, "reason", to.Reason, "setup", to.Agent.Setup)
		a.Changed()
	}
	now := to.Seen
	now.Phase, now.Agent = to.To, to.Agent
	return now, true
}
