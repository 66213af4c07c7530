package reconciler_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hangar/reconciler"
	"hangar/state"
)

// machines are the machines of a test, by server; one that is not there does
// not answer.
type machines struct {
	mu    sync.Mutex
	there map[string]*machine
}

type machine struct {
	look     state.AgentLook
	err      error
	stages   int // on its runner
	draining bool
	told     int
	started  int
	cannot   bool // be started
}

func (m *machines) at(h state.Host, do func(*machine) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.there[h.Server]
	if other := m.there[h.Server+" at "+h.Address]; other != nil {
		x = other
	}
	switch {
	case x == nil:
		return state.Errorf(state.Unavailable, "%s does not answer", h.Server)
	case x.err != nil:
		return x.err
	}
	if x.draining && x.stages == 0 {
		x.look.Container, x.look.Healthy = "exited", false
	}
	return do(x)
}

func (m *machines) Look(_ context.Context, h state.Host) (look state.AgentLook, err error) {
	err = m.at(h, func(x *machine) error { look = x.look; return nil })
	return look, err
}

func (m *machines) Drain(_ context.Context, h state.Host) error {
	return m.at(h, func(x *machine) error {
		x.told++
		x.draining = x.draining || x.look.Container == "running"
		if x.draining && x.stages == 0 {
			x.look.Container, x.look.Healthy = "exited", false
		}
		return nil
	})
}

func (m *machines) Revive(_ context.Context, h state.Host) error {
	return m.at(h, func(x *machine) error {
		if x.look.Container == "running" {
			return state.Errorf(state.Conflict, "it still ends")
		}
		x.draining, x.look.Container, x.look.Healthy = false, "running", true
		return nil
	})
}

func (m *machines) Restart(_ context.Context, h state.Host) error {
	return m.at(h, func(x *machine) error {
		x.started++
		if !x.cannot {
			x.look.Container, x.look.Healthy = "running", true
		}
		return nil
	})
}

func (m *machines) Tail(_ context.Context, h state.Host) (string, error) {
	return "the end of the log", m.at(h, func(*machine) error { return nil })
}

// set changes a machine, which it makes.
func (m *machines) set(server string, change func(*machine)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.there[server] == nil {
		m.there[server] = &machine{}
	}
	change(m.there[server])
}

func (m *machines) get(server string) machine {
	m.mu.Lock()
	defer m.mu.Unlock()
	return *m.there[server]
}

// ready is a machine that works.
func ready(x *machine) {
	x.look = state.AgentLook{CloudInit: "done", Container: "running", Healthy: true}
}

// reached is a house whose machines are reached.
type reached struct {
	*house
	machines *machines
	agents   *reconciler.Agents
}

func newReached(t *testing.T, p state.Pool) *reached {
	t.Helper()
	h := &reached{house: newHouse(t, p), machines: &machines{there: map[string]*machine{}}}
	h.rec.SSH, h.conv.SSH = true, true
	h.attend()
	return h
}

// attend starts the agents' loop, as a new process would.
func (h *reached) attend() (stop func()) {
	h.agents = reconciler.NewAgents(h.store, h.machines)
	h.agents.Now, h.agents.Log = h.clock, slog.New(slog.DiscardHandler)
	h.conv.Finished, h.rec.Committed = h.agents.Poke, func() { h.conv.Poke(); h.agents.Poke() }
	ctx, cancel := context.WithCancel(h.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.agents.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	h.t.Cleanup(stop)
	return stop
}

// later lets time pass, and the loops look and decide.
func (h *reached) later(d time.Duration) {
	h.t.Helper()
	h.house.later(d)
	h.agents.Poke()
	time.Sleep(5 * time.Millisecond) // what they find is seen the next time
}

func (h *reached) server(name string) state.Server {
	h.t.Helper()
	s, err := h.store.Server(h.t.Context(), name)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// one returns a server that works.
func (h *reached) one() string {
	h.t.Helper()
	h.start()
	h.pass()
	h.until("its device is there", func() bool { return h.phases()[state.Created] == 1 })
	name := h.servers()[0].Name
	h.machines.set(name, ready)
	h.until("it works", func() bool { h.later(6 * time.Second); return h.phases()[state.Running] == 1 })
	return name
}

func TestReadiness(t *testing.T) {
	h := newReached(t, pool(1, 1))
	h.start()
	h.pass()
	h.until("its device is there", func() bool { return h.phases()[state.Created] == 1 })
	name := h.servers()[0].Name
	h.until("it is asked in vain", func() bool {
		h.later(6 * time.Second)
		return strings.Contains(h.server(name).Setup, "does not answer")
	})
	h.machines.set(name, func(x *machine) { x.look = state.AgentLook{CloudInit: "running", Detail: "Unpacking docker.io"} })
	h.until("its setup is seen", func() bool { h.later(6 * time.Second); return h.phases()[state.Staging] == 1 })
	if s := h.server(name); !strings.Contains(s.Reason, "cloud-init is running: Unpacking docker.io") || s.Reached.IsZero() {
		t.Errorf("server %+v", s)
	}
	h.machines.set(name, func(x *machine) { ready(x); x.look.Healthy = false })
	h.until("its runner is seen", func() bool { h.later(6 * time.Second); return strings.Contains(h.server(name).Setup, "health check") })
	h.machines.set(name, ready)
	h.until("it works", func() bool { h.later(6 * time.Second); return h.phases()[state.Running] == 1 })
	if s := h.server(name); s.Setup != "" || s.Active.IsZero() || s.Started.Before(s.Reached) {
		t.Errorf("server %+v", s)
	}
}

// What is not ready in time, or cannot be set up, is in error with the end of
// the log, no capacity, and replaced.
func TestNotReadyInTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		look state.AgentLook
		wait time.Duration
		says string
	}{
		{"too slow", state.AgentLook{CloudInit: "running"}, 30 * time.Minute, "not ready within 30m0s: cloud-init is running\nthe end of the log"},
		{"failed", state.AgentLook{CloudInit: "error", Detail: "no such package"}, 0, "cloud-init failed: no such package\nthe end of the log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newReached(t, pool(1, 2))
			h.start()
			h.pass()
			h.until("its device is there", func() bool { return h.phases()[state.Created] == 1 })
			name := h.servers()[0].Name
			h.machines.set(name, func(x *machine) { x.look = tt.look })
			h.later(6 * time.Second)
			h.wait(tt.wait)
			h.until("it is in error", func() bool {
				h.later(6 * time.Second)
				return h.server(name).Phase != state.Created && h.server(name).Error != ""
			})
			if s := h.server(name); s.Error != tt.says {
				t.Errorf("error %q", s.Error)
			}
			h.until("it is replaced", func() bool {
				h.later(6 * time.Second)
				return h.server(name).Phase == state.Stopped && h.phases()[state.Created] == 1
			})
		})
	}
}

// The race: a stage is accepted between the idle check and the drain. It
// finishes, and only then is the machine destroyed.
func TestStageAcceptedBeforeTheDrain(t *testing.T) {
	p := pool(1, 2)
	h := newReached(t, p)
	name := h.one()
	h.pools.Pools[0].Min = 0
	h.machines.set(name, func(x *machine) { x.stages = 1 }) // accepted, and not yet in the queue that was read
	h.pass()
	h.queue.set(working(name)...)
	h.until("it is told to drain", func() bool { h.agents.Poke(); return h.machines.get(name).told > 0 })
	for range 10 {
		h.later(6 * time.Second)
	}
	if s := h.server(name); s.Phase != state.Shutdown || !strings.Contains(s.Reason, "1 stage still on it (1)") {
		t.Errorf("server %+v", s)
	}
	h.later(time.Hour)
	if s := h.server(name); s.Phase != state.Shutdown || !strings.Contains(s.Reason, "longer than 1h0m0s, and goes on") {
		t.Errorf("after an hour: %+v", s)
	}
	h.queue.set() // the queue shows its end before the runner has ended
	for range 3 {
		h.later(6 * time.Second)
	}
	if s := h.server(name); s.Phase != state.Shutdown || len(h.tf.there()) != 1 {
		t.Errorf("destroyed while its runner is at work: %+v", s)
	}
	h.machines.set(name, func(x *machine) { x.stages = 0 })
	h.until("it is destroyed", func() bool { h.later(6 * time.Second); return h.server(name).Phase == state.Stopped })
}

// Work returns while a server drains that holds no stage: it is put back to
// work, its runner started again, and no machine is booted anew.
func TestPutBackToWork(t *testing.T) {
	h := newReached(t, pool(1, 1))
	name := h.one()
	h.pools.Pools[0].Min = 0
	h.machines.set(name, func(x *machine) { x.look.Container = "running" })
	h.pass()
	h.until("it is told to drain", func() bool { h.agents.Poke(); return h.machines.get(name).told > 0 })
	h.queue.set(waiting(1)...)
	h.until("it works again", func() bool { h.later(6 * time.Second); return h.server(name).Phase == state.Running })
	told := h.machines.get(name).told
	for range 5 {
		h.later(6 * time.Second)
	}
	if x := h.machines.get(name); x.draining || x.look.Container != "running" || len(h.tf.there()) != 1 || x.told != told {
		t.Errorf("machine %+v, told %d times before", x, told)
	}
	if s := h.server(name); !s.Told.IsZero() || !s.Drained.IsZero() {
		t.Errorf("server %+v", s)
	}
}

// What was recorded as told, and not heard since hangar ended, is told again.
func TestToldAgainAfterARestart(t *testing.T) {
	h := newReached(t, pool(1, 1))
	name := h.one()
	h.pools.Pools[0].Min = 0
	h.machines.set(name, func(x *machine) { x.err = state.Errorf(state.Unavailable, "it does not answer") })
	h.pass()
	h.until("it is recorded as told", func() bool { h.agents.Poke(); return !h.server(name).Told.IsZero() })
	h.attend()
	h.machines.set(name, func(x *machine) { x.err = nil })
	h.until("it is told, and goes", func() bool { h.later(6 * time.Second); return h.server(name).Phase == state.Stopped })
}

// A machine that does not answer goes only when the queue has shown no stage on
// it for a while.
func TestUnreachableMachineDrainsByTheQueue(t *testing.T) {
	h := newReached(t, pool(1, 1))
	name := h.one()
	h.pools.Pools[0].Min = 0
	h.queue.set(working(name)...)
	h.machines.set(name, func(x *machine) { x.err = state.Errorf(state.Unavailable, "it does not answer") })
	if err := h.rec.Destroy(t.Context(), name, false, "octocat"); err != nil {
		t.Fatal(err)
	}
	h.until("it is unreachable", func() bool { h.later(6 * time.Second); return !h.server(name).Unreachable.IsZero() })
	h.later(time.Hour)
	if s := h.server(name); s.Phase != state.Shutdown || !strings.Contains(s.Reason, "1 stage on it (1) hang") {
		t.Errorf("destroyed with a stage on it, or not told that it hangs: %+v", s)
	}
	h.queue.set()
	h.later(time.Second)
	h.later(time.Minute)
	if s := h.server(name); s.Phase != state.Shutdown || !strings.Contains(s.Reason, "which is believed from") {
		t.Errorf("server %+v", s)
	}
	h.later(time.Minute)
	h.until("it goes", func() bool { h.later(time.Second); return h.server(name).Phase == state.Stopped })
}

// A wrong host key is told, and the machine is not used.
func TestUntrustedMachine(t *testing.T) {
	h := newReached(t, pool(1, 2))
	h.start()
	h.pass()
	h.until("its device is there", func() bool { return h.phases()[state.Created] == 1 })
	name := h.servers()[0].Name
	h.machines.set(name, func(x *machine) { x.err = state.Errorf(state.Untrusted, "another host key: perhaps an attack") })
	h.until("it is in error", func() bool {
		h.later(6 * time.Second)
		return strings.Contains(h.server(name).Error, "perhaps an attack")
	})
	h.until("it is replaced", func() bool {
		h.later(time.Minute)
		return h.server(name).Phase == state.Stopped && h.phases()[state.Created] == 1
	})
}

// A runner that is gone is started again; when that does not help, its server
// is drained and replaced.
func TestRunnerHealth(t *testing.T) {
	h := newReached(t, pool(1, 2))
	name := h.one()
	gone := func(x *machine) { x.look.Container, x.look.Healthy = "exited", false }
	h.machines.set(name, gone)
	h.until("it is started again", func() bool { h.later(time.Minute); return h.machines.get(name).started == 1 })
	h.until("it is healthy", func() bool { h.later(6 * time.Second); return h.server(name).Setup == "" })
	if s := h.server(name); s.Phase != state.Running || !s.Repaired.IsZero() {
		t.Errorf("server %+v", s)
	}
	h.machines.set(name, func(x *machine) { gone(x); x.cannot = true })
	h.until("it is replaced", func() bool { h.later(time.Minute); return h.server(name).Phase == state.Stopped })
	if s := h.server(name); h.machines.get(name).started != 2 {
		t.Errorf("started %d times: %+v", h.machines.get(name).started, s)
	}
}

// A runner that took a stage just before it was told to drain has work when its
// server is to be put back: it goes on draining, and finishes it.
func TestPutBackWithWork(t *testing.T) {
	h := newReached(t, pool(1, 1))
	name := h.one()
	h.pools.Pools[0].Min = 0
	h.machines.set(name, func(x *machine) { x.stages = 1 }) // which no read of the queue has shown yet
	h.pass()
	h.until("it is told to drain", func() bool { h.agents.Poke(); return h.machines.get(name).told > 0 })
	h.queue.set(waiting(1)...)
	h.pass()
	if s := h.server(name); s.Phase != state.Staging {
		t.Fatalf("it is not put back: %+v", s)
	}
	h.queue.set(working(name)...)
	h.until("it drains on", func() bool { h.later(6 * time.Second); return h.server(name).Phase == state.Shutdown })
	h.queue.set()
	h.machines.set(name, func(x *machine) { x.stages = 0 })
	h.until("it goes", func() bool { h.later(6 * time.Second); return h.server(name).Phase == state.Stopped })
}

// A double is drained by its own address: it goes while the server whose name
// it bears works on.
func TestDoubleDrainsByItsOwnAddress(t *testing.T) {
	h := newReached(t, pool(1, 3))
	h.tf.fail = func(ws state.Workspace, _ func(state.ApplyEvent)) {
		h.tf.mu.Lock()
		defer h.tf.mu.Unlock()
		if h.tf.fail != nil {
			h.tf.make(ws.Stack.Name, ws.Servers[0].Name, "double", state.FoundActive)
			h.tf.provider[0].Address = "10.0.0.2"
		}
		h.tf.fail = nil
	}
	h.start()
	h.pass()
	h.until("the double has a record", func() bool { return len(h.servers()) == 2 })
	name := ""
	for _, s := range h.servers() {
		if !s.Double() {
			name = s.Name
		}
	}
	h.machines.set(name, ready)
	h.machines.set(name+" at 10.0.0.2", ready)
	h.queue.set(working(name)...)
	h.until("the double is gone", func() bool { h.later(6 * time.Second); return len(h.servers()) == 1 })
	if s := h.servers()[0]; s.Name != name || h.machines.get(name).told != 0 || h.machines.get(name+" at 10.0.0.2").told == 0 {
		t.Errorf("the wrong one was drained: %+v", s)
	}
}

// slowMachine is one that works and takes its time to answer.
type slowMachine struct {
	reconciler.Machines
	snapshots int
}

func (m *slowMachine) Snapshot(context.Context, time.Time) (state.Snapshot, error) {
	m.snapshots++
	return state.Snapshot{Servers: []state.Server{{Name: "agent-1", Phase: state.Running, Device: state.Device{ID: "1", Address: "192.0.2.1"}}}}, nil
}

func (m *slowMachine) Commit(context.Context, state.Changes) error { return nil }

func (m *slowMachine) Look(context.Context, state.Host) (state.AgentLook, error) {
	time.Sleep(50 * time.Second)
	return state.AgentLook{CloudInit: "done", Container: "running", Healthy: true}, nil
}

// A machine that is slow to answer is waited for, and the records are not read
// again and again meanwhile.
func TestSlowMachineIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &slowMachine{}
		a := reconciler.NewAgents(m, m)
		a.Ping, a.Log = time.Minute, slog.New(slog.DiscardHandler)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := a.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if m.snapshots > 60 {
			t.Errorf("the records were read %d times in 10 minutes", m.snapshots)
		}
	})
}
