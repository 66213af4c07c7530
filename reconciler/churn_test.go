package reconciler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hangar/reconciler"
	"hangar/reconciler/simulator"
	"hangar/state"
	"hangar/state/sqlite"
)

// day is a simulated world as the loops reach it without a network: its Drone
// server's queue, its machines, and its Metal API through a terraform that
// forgets devices as the real provider does.
type day struct {
	world  *simulator.World
	drone  http.Handler
	metal  http.Handler
	mu     sync.Mutex
	states map[string]map[string]state.Device
	serial int64
}

func newDay(w *simulator.World) *day {
	return &day{world: w, drone: w.Drone(), metal: w.Metal(), states: map[string]map[string]state.Device{}}
}

// ask asks the world's Metal API.
func (d *day) ask(method, path, body string, into any) int {
	r := httptest.NewRequest(method, "/metal/v1"+path, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", d.world.Config().APIKey)
	answer := httptest.NewRecorder()
	d.metal.ServeHTTP(answer, r)
	if into != nil && answer.Code < 300 {
		if err := json.Unmarshal(answer.Body.Bytes(), into); err != nil {
			panic(err) // the world's answer
		}
	}
	return answer.Code
}

// Queue implements reconciler.Queue.
func (d *day) Queue(context.Context) ([]state.Stage, error) {
	r := httptest.NewRequest(http.MethodGet, "/api/queue", nil)
	r.Header.Set("Authorization", "Bearer "+d.world.Config().ServerToken)
	answer := httptest.NewRecorder()
	d.drone.ServeHTTP(answer, r)
	var list []struct {
		state.Stage
		Status  string `json:"status"`
		Created int64  `json:"created"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &list); err != nil {
		return nil, fmt.Errorf("%d: %w", answer.Code, err)
	}
	stages := make([]state.Stage, len(list))
	for i, s := range list {
		stages[i] = s.Stage
		stages[i].Running, stages[i].Created = s.Status == "running", time.Unix(s.Created, 0)
	}
	return stages, nil
}

func (d *day) Look(_ context.Context, h state.Host) (state.AgentLook, error) {
	return d.world.Machine(h.Address).Look()
}
func (d *day) Drain(_ context.Context, h state.Host) error { return d.world.Machine(h.Address).Drain() }
func (d *day) Revive(_ context.Context, h state.Host) error {
	return d.world.Machine(h.Address).Revive()
}
func (d *day) Restart(_ context.Context, h state.Host) error {
	return d.world.Machine(h.Address).Restart()
}
func (d *day) Tail(context.Context, state.Host) (string, error) { return "", nil }

// inState returns a copy of a stack's state.
func (d *day) inState(stack string) map[string]state.Device {
	d.mu.Lock()
	defer d.mu.Unlock()
	devices := map[string]state.Device{}
	for name, device := range d.states[stack] {
		devices[name] = device
	}
	return devices
}

// put records a device in a stack's state; an empty one is taken out of it.
func (d *day) put(stack, server string, device state.Device) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.states[stack] == nil {
		d.states[stack] = map[string]state.Device{}
	}
	d.serial++
	if device.ID == "" {
		delete(d.states[stack], server)
	} else {
		d.states[stack][server] = device
	}
}

func (d *day) Plan(_ context.Context, ws state.Workspace) (state.Plan, error) {
	time.Sleep(300 * time.Millisecond)
	p := state.Plan{JSON: []byte("{}")}
	wanted, inState := map[string]bool{}, d.inState(ws.Stack.Name)
	change := func(server, action, id string) {
		p.Changes = append(p.Changes, state.Change{Address: reconciler.Address(ws.Stack.Resource, server), Actions: []string{action}, ImportID: id})
	}
	for _, s := range ws.Servers {
		wanted[s.Name] = true
		if id := ws.Imports[s.Name]; id != "" {
			change(s.Name, "no-op", id)
		} else if _, there := inState[s.Name]; !there {
			change(s.Name, "create", "")
		}
	}
	for name := range inState {
		if !wanted[name] {
			change(name, "delete", "")
		}
	}
	return p, nil
}

func (d *day) Apply(_ context.Context, ws state.Workspace, _ int, on func(state.ApplyEvent)) (state.ApplyResult, error) {
	var (
		work   sync.WaitGroup
		mu     sync.Mutex
		failed []error
	)
	do := func(f func() error) {
		work.Go(func() {
			if err := f(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
			}
		})
	}
	wanted, inState := map[string]bool{}, d.inState(ws.Stack.Name)
	for _, s := range ws.Servers {
		wanted[s.Name] = true
		if id := ws.Imports[s.Name]; id != "" {
			d.put(ws.Stack.Name, s.Name, state.Device{ID: id, State: "active"})
		} else if _, there := inState[s.Name]; !there {
			do(func() error {
				return d.create(ws.Stack, s, func(e state.ApplyEvent) { mu.Lock(); defer mu.Unlock(); on(e) })
			})
		}
	}
	for name, device := range inState {
		if wanted[name] {
			continue
		}
		do(func() error {
			if code := d.ask(http.MethodDelete, "/devices/"+device.ID, "", nil); code != 204 && code != 404 && code != 403 {
				return fmt.Errorf("delete: %d", code)
			}
			d.put(ws.Stack.Name, name, state.Device{})
			return nil
		})
	}
	work.Wait()
	return state.ApplyResult{Begun: true}, errors.Join(failed...)
}

// create orders a device and waits for it; one that fails is forgotten.
func (d *day) create(stack state.Stack, s state.Server, on func(state.ApplyEvent)) error {
	c := d.world.Config()
	body, err := json.Marshal(map[string]any{
		"facility": []string{"ewr1"}, "plan": "c3.small.x86", "operating_system": "ubuntu_24_04", "hostname": s.Name,
		"tags": []string{"hangar", "hangar-instance=i-1", "hangar-stack=" + stack.Name, "hangar-server=" + s.Name},
		"userdata": fmt.Sprintf("#cloud-config\nwrite_files:\n- path: /etc/agent.env\n  content: |\n    DRONE_RPC_SECRET=%s\n    DRONE_RUNNER_NAME=%s\n    DRONE_RUNNER_CAPACITY=%d\n",
			c.RPCSecret, s.Name, s.Capacity),
	})
	if err != nil {
		return err
	}
	var made struct{ ID, State string }
	if code := d.ask(http.MethodPost, "/projects/"+c.ProjectID+"/devices", string(body), &made); code != 201 {
		return fmt.Errorf("create: %d", code)
	}
	for made.State != "active" {
		time.Sleep(10 * time.Second)
		if code := d.ask(http.MethodGet, "/devices/"+made.ID, "", &made); code != 200 || made.State == "failed" {
			on(state.ApplyEvent{Server: s.Name, Action: "create", Failed: true})
			return fmt.Errorf("device %s is %s (%d)", made.ID, made.State, code)
		}
	}
	device := state.Device{ID: made.ID, State: "active", Address: d.address(made.ID)}
	d.put(stack.Name, s.Name, device)
	on(state.ApplyEvent{Server: s.Name, Action: "create", Done: true, ID: made.ID, Device: &device})
	return nil
}

// wire is a device as the Metal API sends it.
type wire struct {
	ID, Hostname, State string
	Tags                []string
	IPs                 []struct {
		Address string
		Public  bool
		Family  int `json:"address_family"`
	} `json:"ip_addresses"`
}

func (w wire) address() string {
	for _, ip := range w.IPs {
		if ip.Public && ip.Family == 4 {
			return ip.Address
		}
	}
	return ""
}

func (d *day) address(id string) string {
	var w wire
	d.ask(http.MethodGet, "/devices/"+id, "", &w)
	return w.address()
}

func (d *day) Census(_ context.Context, q state.Question) (found []state.Found, err error) {
	time.Sleep(500 * time.Millisecond)
	var list struct{ Devices []wire }
	query := url.Values{"per_page": {"1000"}}
	if len(q.Known) == 0 {
		query.Set("search", q.Tag)
	}
	if code := d.ask(http.MethodGet, "/projects/"+d.world.Config().ProjectID+"/devices?"+query.Encode(), "", &list); code != 200 {
		return nil, fmt.Errorf("list: %d", code)
	}
	states := map[string]state.FoundState{
		"queued": state.FoundBooting, "provisioning": state.FoundBooting, "active": state.FoundActive, "failed": state.FoundFailed, "deprovisioning": state.FoundLeaving,
	}
	for _, w := range list.Devices {
		if !slices.Contains(w.Tags, q.Tag) && !slices.Contains(q.Known, w.ID) {
			continue
		}
		f := state.Found{ID: w.ID, Hostname: w.Hostname, Address: w.address(), State: states[w.State]}
		for _, tag := range w.Tags {
			key, value, _ := strings.Cut(tag, "=")
			switch key {
			case "hangar-server":
				f.Server = value
			case "hangar-stack":
				f.Stack = value
			case "hangar-instance":
				f.Instance = value
			}
		}
		found = append(found, f)
	}
	return found, nil
}

func (d *day) Scope(string, map[string]any) (string, error) { return "all", nil }
func (d *day) Rest(state.Workspace) error                   { return nil }
func (d *day) Saved(string) (state.Saved, error)            { return state.Saved{}, nil }
func (d *day) NeedsRepair(context.Context, state.Stack, *state.StateVersion) (string, error) {
	return "", nil
}
func (d *day) Repair(context.Context, state.Stack, *state.StateVersion) (string, error) {
	return "", nil
}
func (d *day) Read(_ context.Context, stack state.Stack) (*state.StateVersion, map[string]state.Device, error) {
	devices := d.inState(stack.Name)
	content, err := json.Marshal(devices)
	d.mu.Lock()
	defer d.mu.Unlock()
	return &state.StateVersion{Stack: stack.Name, Serial: d.serial, Lineage: stack.Name, Bytes: content}, devices, err
}

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s: %v", name, text, err)
	}
	return n
}

// A day of churn, in simulated time: builds of random length come and go with
// the hours, machines fail, die and lose their runners, drains overlap with new
// work. No build is killed by hangar; those on machines that died are ended by
// Drone's reaper and counted apart. HANGAR_CHURN_SEEDS says for how many days,
// HANGAR_CHURN_SEED where they begin.
func TestChurn(t *testing.T) {
	days := number(t, "HANGAR_CHURN_SEEDS", 1)
	first := number(t, "HANGAR_CHURN_SEED", rand.Uint64())
	for i := range days {
		t.Run(fmt.Sprintf("HANGAR_CHURN_SEED=%d", first+i), func(t *testing.T) {
			began := time.Now()
			synctest.Test(t, func(t *testing.T) { churn(t, first+i) })
			t.Logf("in %s", time.Since(began).Round(time.Second))
		})
	}
}

const (
	churnBuilds = 10500
	churnMax    = 50
)

func churn(t *testing.T, seed uint64) {
	w := simulator.New(simulator.Config{
		Seed: seed, BootTime: 6 * time.Minute, SetupTime: 90 * time.Second, AcceptTime: time.Second, ReapAfter: time.Hour,
	})
	w.SetFaults(simulator.Faults{Seed: seed, DeviceFails: 0.03, SetupFails: 0.03, DeviceDies: 0.05, DiesWithin: 4 * time.Hour, Deprovision: 3 * time.Minute})
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "database.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	d := newDay(w)
	p := pool(0, churnMax)
	p.Concurrency, p.Idle, p.CreateBudget = 2, time.Minute, 10*churnMax
	quiet := slog.New(slog.DiscardHandler)
	rec := reconciler.New(d, store, state.Roster{Pools: []state.Pool{p}})
	rec.Interval, rec.SSH, rec.Log = 20*time.Second, true, quiet
	conv := reconciler.NewConverger(store, d, d)
	conv.Instance, conv.SSH, conv.Log = "i-1", true, quiet
	sweep := reconciler.NewSweeper(store, d, rec.Pools, "i-1")
	sweep.Log = quiet
	agents := reconciler.NewAgents(store, d)
	agents.Log, agents.Changed = quiet, rec.Poke
	rec.Committed = func() { conv.Poke(); agents.Poke() }
	conv.Finished = func() { rec.Poke(); agents.Poke() }
	conv.Unclear, sweep.Look = sweep.Poke, func() { conv.Poke(); rec.Poke() }

	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	for _, run := range []func(context.Context) error{rec.Run, conv.Run, sweep.Run, agents.Run} {
		loops.Go(func() { _ = run(ctx) }) // each ends with ctx, without an error
	}
	loops.Go(func() { w.Run(ctx) })
	defer func() {
		cancel()
		loops.Wait()
		store.Close()
	}()

	loops.Go(func() { // builds arrive
		dice := rand.New(rand.NewPCG(seed, 1))
		begun, burst := time.Now(), 0
		for range churnBuilds {
			hour := time.Since(begun).Hours()
			rate := 1 + 0.9*math.Sin((hour-8)/24*2*math.Pi) // of the mean
			if burst--; burst <= 0 {
				burst = 1
				if dice.IntN(60) == 0 {
					burst = 1 + dice.IntN(60)
				}
				time.Sleep(time.Duration(float64(burst) * dice.ExpFloat64() / rate * float64(24*time.Hour) / churnBuilds))
			}
			if ctx.Err() != nil {
				return
			}
			length := 5*time.Second + time.Duration(dice.ExpFloat64()*float64(7*time.Minute))
			w.EnqueueFor(min(length, time.Hour), state.Stage{})
		}
	})
	dice := rand.New(rand.NewPCG(seed, 2))
	for minute := 0; ; minute++ {
		time.Sleep(time.Minute)
		if minute%40 == 0 {
			crash(w, dice)
		}
		idleWhileWaiting(t, d, store)
		stats := w.Stats()
		if done := stats.Succeeded + stats.Failed + stats.Orphaned; stats.Builds == churnBuilds && done == churnBuilds && stats.Alive == 0 {
			break
		}
		if minute > 36*60 || t.Failed() {
			snap, _ := store.Snapshot(ctx, time.Now())
			for _, s := range snap.Servers {
				t.Logf("%s %s %s drained=%v unreachable=%v: %s %s", s.Name, s.Phase, s.State, s.Drained, s.Unreachable, s.Reason, s.Error)
			}
			stats.Waits = nil
			t.Fatalf("the day does not end: %+v", stats)
		}
	}
	time.Sleep(20 * time.Minute) // what was destroyed is verified
	snap, err := store.Snapshot(ctx, time.Now())
	stats := w.Stats()
	waits := stats.Waits
	slices.Sort(waits)
	stats.Waits = nil
	if err != nil || stats.Failed > 0 || stats.MaxAlive > churnMax || len(snap.Servers) > 0 {
		t.Errorf("builds killed: %d, at most %d machines, servers left %v, %v", stats.Failed, stats.MaxAlive, snap.Servers, err)
	}
	t.Logf("%+v; waits: median %s, 99%% within %s", stats, waits[len(waits)/2], waits[len(waits)*99/100])
}

// crash ends the runner of some machine.
func crash(w *simulator.World, dice *rand.Rand) {
	if devices := w.Devices(); len(devices) > 0 {
		w.Crash(devices[dice.IntN(len(devices))].ID)
	}
}

// idleWhileWaiting finds a stage that has waited for a while although a server
// that works, by record and in truth, has nothing on it.
func idleWhileWaiting(t *testing.T, d *day, store *sqlite.Store) {
	t.Helper()
	stages, err := d.Queue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	busy, waits := map[string]bool{}, false
	for _, s := range stages {
		busy[s.Machine] = true
		waits = waits || s.Machine == "" && time.Since(s.Created) > 5*time.Second
	}
	if !waits {
		return
	}
	snap, err := store.Snapshot(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range snap.Servers {
		if s.Phase != state.Running || busy[s.Name] {
			continue
		}
		if look, err := d.world.Machine(s.Address).Look(); err == nil && look.Ready() {
			t.Errorf("%s is idle while a stage waits: %+v", s.Name, s)
		}
	}
}
