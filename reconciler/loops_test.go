package reconciler_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"hangar/reconciler"
	"hangar/state"
	"hangar/state/sqlite"
)

// queue is a Drone server's queue that a test writes.
type queue struct {
	mu     sync.Mutex
	stages []state.Stage
	err    error
	reads  int
}

func (q *queue) Queue(context.Context) ([]state.Stage, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reads++
	return slices.Clone(q.stages), q.err
}

func (q *queue) set(stages ...state.Stage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stages = stages
}

// waiting makes n stages that wait for linux/amd64.
func waiting(n int) (stages []state.Stage) {
	for i := range n {
		stages = append(stages, state.Stage{ID: int64(i + 1), RepoID: 1, Name: "default", OS: "linux", Arch: "amd64"})
	}
	return stages
}

// working makes one stage that runs on each machine.
func working(machines ...string) (stages []state.Stage) {
	for i, m := range machines {
		stages = append(stages, state.Stage{ID: int64(i + 1), RepoID: 1, Name: "default", OS: "linux", Arch: "amd64", Machine: m, Running: true})
	}
	return stages
}

// terraform holds states as terraform would, one a stack, and the devices of a
// provider, and does to them what a workspace asks for. Its hooks let a test
// get in between.
type terraform struct {
	mu        sync.Mutex
	states    map[string]map[string]state.Device
	provider  []state.Found // what there is
	census    error         // how every census fails
	asked     []string      // tags, in order
	broken    string        // why every state file needs repair, once
	repaired  []string      // stacks
	serial    int64
	planned   []string // stacks, in order
	applied   []string
	rested    []string
	plans     map[string]string // that are saved, by stack
	stateless bool              // the state is missing
	forgets   state.FoundState  // creates bring forth devices in this state, and are forgotten; empty: they are not
	denied    bool              // a destruction is called complete and has not happened
	idle      bool              // an apply that fails says that nothing began
	plan      func(ws state.Workspace, p *state.Plan) error
	apply     func(ws state.Workspace, devices map[string]state.Device) error
	fail      func(ws state.Workspace, on func(state.ApplyEvent)) // in mid-apply
	applying  chan string                                         // told of every apply that begins, when not nil
	proceed   chan struct{}                                       // an apply waits for it, when not nil
}

func (tf *terraform) devices(stack string) map[string]state.Device {
	if tf.states == nil {
		tf.states = map[string]map[string]state.Device{}
	}
	if tf.states[stack] == nil {
		tf.states[stack] = map[string]state.Device{}
	}
	return tf.states[stack]
}

func (tf *terraform) Plan(_ context.Context, ws state.Workspace) (state.Plan, error) {
	tf.mu.Lock()
	defer tf.mu.Unlock()
	tf.planned = append(tf.planned, ws.Stack.Name)
	if tf.plans == nil {
		tf.plans = map[string]string{}
	}
	tf.plans[ws.Stack.Name] = fmt.Sprint("plan ", len(tf.planned))
	p := state.Plan{Text: "plan of " + ws.Stack.Name, JSON: []byte(`{}`), Saved: tf.saved(ws.Stack.Name)}
	wanted := map[string]bool{}
	for _, s := range ws.Servers {
		wanted[s.Name] = true
		if id := ws.Imports[s.Name]; id != "" {
			p.Changes = append(p.Changes, state.Change{Address: reconciler.Address(ws.Stack.Resource, s.Name), Actions: []string{"no-op"}, ImportID: id})
		} else if _, there := tf.devices(ws.Stack.Name)[s.Name]; !there {
			p.Changes = append(p.Changes, state.Change{Address: reconciler.Address(ws.Stack.Resource, s.Name), Actions: []string{"create"}})
		}
	}
	for name := range tf.devices(ws.Stack.Name) {
		if !wanted[name] {
			p.Changes = append(p.Changes, state.Change{Address: reconciler.Address(ws.Stack.Resource, name), Actions: []string{"delete"}})
		}
	}
	if tf.plan != nil {
		return p, tf.plan(ws, &p)
	}
	return p, nil
}

func (tf *terraform) Apply(_ context.Context, ws state.Workspace, _ int, on func(state.ApplyEvent)) (state.ApplyResult, error) {
	tf.mu.Lock()
	applying, proceed := tf.applying, tf.proceed
	tf.mu.Unlock()
	if applying != nil {
		applying <- ws.Stack.Name
	}
	if proceed != nil {
		<-proceed
	}
	if tf.fail != nil {
		tf.fail(ws, on)
	}
	tf.mu.Lock()
	defer tf.mu.Unlock()
	tf.applied = append(tf.applied, ws.Stack.Name)
	tf.serial++
	devices := tf.devices(ws.Stack.Name)
	if tf.apply != nil {
		err := tf.apply(ws, devices)
		var told diagnosed
		errors.As(err, &told)
		return state.ApplyResult{Log: "log", Begun: !tf.idle, Diagnostics: told}, err
	}
	wanted := map[string]bool{}
	forgotten := false
	for _, s := range ws.Servers {
		wanted[s.Name] = true
		if _, there := devices[s.Name]; !there && ws.Imports[s.Name] == "" && tf.forgets != "" {
			tf.make(ws.Stack.Name, s.Name, "id-"+s.Name, tf.forgets)
			forgotten = true
		} else if id := ws.Imports[s.Name]; id != "" {
			devices[s.Name] = state.Device{ID: id, State: "active"}
		} else if _, there := devices[s.Name]; !there {
			d := state.Device{ID: "id-" + s.Name, Address: "10.0.0.1", State: "active"}
			devices[s.Name] = d
			tf.make(ws.Stack.Name, s.Name, d.ID, state.FoundActive)
			on(state.ApplyEvent{Server: s.Name, Action: "create", Done: true, ID: d.ID, Device: &d})
		}
	}
	maps.DeleteFunc(devices, func(name string, d state.Device) bool {
		if !wanted[name] && !tf.denied {
			tf.unmake(d.ID)
		}
		return !wanted[name]
	})
	if forgotten {
		return state.ApplyResult{Log: "log", Begun: true}, errBroken
	}
	return state.ApplyResult{Log: "log", Begun: true}, nil
}

// make lets a device exist at the provider; the lock is held.
func (tf *terraform) make(stack, server, id string, s state.FoundState) {
	tf.provider = append(tf.provider, state.Found{ID: id, Hostname: server, Server: server, Stack: stack, Instance: "i-1", Address: "10.0.0.1", State: s})
}

func (tf *terraform) unmake(id string) {
	tf.provider = slices.DeleteFunc(tf.provider, func(f state.Found) bool { return f.ID == id })
}

// there lists the ids of the provider's devices.
func (tf *terraform) there() (ids []string) {
	tf.mu.Lock()
	defer tf.mu.Unlock()
	for _, f := range tf.provider {
		ids = append(ids, f.ID)
	}
	slices.Sort(ids)
	return ids
}

func (tf *terraform) Census(_ context.Context, q state.Question) (found []state.Found, err error) {
	tf.mu.Lock()
	defer tf.mu.Unlock()
	tf.asked = append(tf.asked, q.Tag)
	for _, f := range tf.provider {
		if q.Tag == "hangar-stack="+f.Stack || q.Tag == "hangar-instance="+f.Instance || slices.Contains(q.Known, f.ID) {
			found = append(found, f)
		}
	}
	return found, tf.census
}

func (tf *terraform) Scope(module string, settings map[string]any) (string, error) { return "all", nil }

func (tf *terraform) NeedsRepair(context.Context, state.Stack, *state.StateVersion) (string, error) {
	tf.mu.Lock()
	defer tf.mu.Unlock()
	return tf.broken, nil
}

func (tf *terraform) Repair(_ context.Context, stack state.Stack, newest *state.StateVersion) (string, error) {
	tf.mu.Lock()
	defer tf.mu.Unlock()
	if newest != nil && len(newest.Bytes) == 0 {
		return "", errBroken
	}
	tf.broken, tf.repaired = "", append(tf.repaired, stack.Name)
	return "put back", nil
}

func (tf *terraform) Rest(ws state.Workspace) error {
	tf.mu.Lock()
	defer tf.mu.Unlock()
	tf.rested = append(tf.rested, ws.Stack.Name)
	delete(tf.plans, ws.Stack.Name)
	return nil
}

// saved is what would be the digests of files; the lock is held.
func (tf *terraform) saved(stack string) state.Saved {
	return state.Saved{Plan: tf.plans[stack], State: fmt.Sprint(tf.devices(stack))}
}

func (tf *terraform) Saved(stack string) (state.Saved, error) {
	tf.mu.Lock()
	defer tf.mu.Unlock()
	return tf.saved(stack), nil
}

func (tf *terraform) Read(_ context.Context, stack state.Stack) (*state.StateVersion, map[string]state.Device, error) {
	tf.mu.Lock()
	defer tf.mu.Unlock()
	if tf.stateless {
		return nil, map[string]state.Device{}, nil
	}
	return &state.StateVersion{Serial: tf.serial, Lineage: "l", SHA256: "s", Size: 2, Bytes: []byte("{}")}, maps.Clone(tf.devices(stack.Name)), nil
}

func (tf *terraform) runs() (planned, applied int) {
	tf.mu.Lock()
	defer tf.mu.Unlock()
	return len(tf.planned), len(tf.applied)
}

// house is both loops over a real store, a queue and a terraform of the
// test's. Its clock goes only when told to.
type house struct {
	t     *testing.T
	store *sqlite.Store
	pools *state.Roster
	queue *queue
	tf    *terraform
	rec   *reconciler.Reconciler
	conv  *reconciler.Converger
	sweep *reconciler.Sweeper

	mu  sync.Mutex
	now time.Time
}

func newHouse(t *testing.T, pool state.Pool) *house {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "database.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	h := &house{t: t, store: store, pools: &state.Roster{Pools: []state.Pool{pool}}, queue: &queue{}, tf: &terraform{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	quiet := slog.New(slog.DiscardHandler)
	h.rec = reconciler.New(h.queue, store, h.pools)
	h.rec.Now, h.rec.Log, h.rec.StackSize = h.clock, quiet, 3
	h.restart()
	h.rec.Committed = func() { h.conv.Poke() }
	return h
}

// restart replaces the slow loop, as a new process would.
func (h *house) restart() {
	h.conv = reconciler.NewConverger(h.store, h.tf, h.queue)
	h.conv.Log = slog.New(slog.DiscardHandler)
	h.conv.Now = h.clock
	h.conv.Instance = "i-1"
	h.conv.Finished = func() {}
	h.sweep = reconciler.NewSweeper(h.store, h.tf, h.rec.Pools, "i-1")
	h.sweep.Now, h.sweep.Log, h.sweep.Look = h.clock, h.conv.Log, h.conv.Poke
}

func (h *house) clock() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now }

func (h *house) pass() state.Decision {
	h.t.Helper()
	h.mu.Lock()
	h.now = h.now.Add(time.Second)
	h.mu.Unlock()
	d, err := h.rec.Pass(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

func (h *house) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// start runs the slow loop until stop, or the test's end.
func (h *house) start() (stop func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.conv.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(stop)
	return stop
}

// until waits for a condition that the loops bring about.
func (h *house) until(what string, is func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); {
		if time.Now().After(deadline) {
			h.t.Fatalf("%s: did not come about; servers %v", what, h.phases())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// ages waits for a condition that comes about in time: time passes meanwhile.
func (h *house) ages(what string, is func() bool) {
	h.t.Helper()
	h.until(what, func() bool {
		if is() {
			return true
		}
		h.wait(3 * time.Second)
		h.conv.Poke()
		return false
	})
}

// oneRuns starts the slow loop and returns a server that runs for a stage.
func (h *house) oneRuns() state.Server {
	h.t.Helper()
	h.start()
	h.queue.set(waiting(1)...)
	h.pass()
	h.until("one runs", func() bool { return h.phases()[state.Running] == 1 })
	return h.servers()[0]
}

func (h *house) servers() []state.Server {
	h.t.Helper()
	snap, err := h.store.Snapshot(h.t.Context(), h.clock())
	if err != nil {
		h.t.Fatal(err)
	}
	return snap.Servers
}

func (h *house) phases() map[state.Phase]int {
	count := map[state.Phase]int{}
	for _, s := range h.servers() {
		count[s.Phase]++
	}
	return count
}

func (h *house) lastRun() state.Run {
	h.t.Helper()
	runs, err := h.store.Runs(h.t.Context(), state.RunFilter{Limit: 1})
	if err != nil || len(runs) == 0 {
		h.t.Fatalf("runs: %v %v", runs, err)
	}
	return runs[0]
}

func pool(min, max int) state.Pool {
	return state.Pool{
		Name: "default", Min: min, Max: max, Concurrency: 1, NamePrefix: "agent-",
		Platform:   state.Platform{OS: "linux", Arch: "amd64"},
		Candidates: []state.Candidate{{Name: "ewr1/small", Provider: "packet", Module: "packet-00000000", Resource: "equinix_metal_device.server", Settings: map[string]any{"facility": "ewr1"}}},
	}
}

// diagnosed is an error of terraform's with its diagnostics.
type diagnosed []state.Diagnostic

func (d diagnosed) Error() string { return d[0].Summary }

// refusal is how the API refuses for good to create the servers of a workspace.
func refusal(ws state.Workspace) error {
	var d diagnosed
	for _, s := range ws.Servers {
		d = append(d, state.Diagnostic{
			Severity: "error", Address: reconciler.Address(ws.Stack.Resource, s.Name),
			Summary: "422 Unprocessable Entity The facility [ewr1] has no provisionable small servers matching your criteria.",
		})
	}
	return d
}

var errBroken = errors.New("broken")
