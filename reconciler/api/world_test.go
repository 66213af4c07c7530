package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hangar/state"
)

const token = "s3cr3t-t0k3n"

// world is a store, a reconciler and a Drone in one, held in memory.
type world struct {
	reads atomic.Uint64

	mu          sync.Mutex
	servers     []state.Server
	stacks      []state.Stack
	outputs     map[string]map[string]state.Device
	versions    map[string][]state.StateVersion
	runs        []state.Run // oldest first
	plans       map[int64]state.Plan
	logs        map[int64]string
	decisions   []state.Decision // oldest first
	audit       state.Audit
	explanation state.Explanation
	sweeps      []string // what was asked of the auditor
	paused      bool
	by          string // who asked for what last
	pokes       int
	events      []state.Event

	err    error             // what every call returns, if set
	admins map[string]string // logins by tokens
	doubt  error             // what the gate says of every token, if set
}

func (w *world) locked(read func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		read()
	}
	return w.err
}

func (w *world) Server(_ context.Context, name string) (s state.Server, err error) {
	found := false
	if err := w.locked(func() { s, found = w.server(name) }); err != nil || found {
		return s, err
	}
	return s, state.Errorf(state.NotFound, "there is no server %s", name)
}

func (w *world) server(name string) (state.Server, bool) {
	for _, s := range w.servers {
		if s.Name == name {
			return s, true
		}
	}
	return state.Server{}, false
}

// Writes is another number each time: nothing is the same for long here.
func (w *world) Writes() uint64 { return w.reads.Add(1) }

func (w *world) Servers(context.Context) (all []state.Server, err error) {
	err = w.locked(func() { all = slices.Clone(w.servers) })
	return all, err
}

func (w *world) Stacks(context.Context) (all []state.Stack, err error) {
	err = w.locked(func() { all = slices.Clone(w.stacks) })
	return all, err
}

func (w *world) Stack(_ context.Context, name string) (s state.Stack, err error) {
	i := -1
	if err := w.locked(func() {
		if i = slices.IndexFunc(w.stacks, func(s state.Stack) bool { return s.Name == name }); i >= 0 {
			s = w.stacks[i]
		}
	}); err != nil || i >= 0 {
		return s, err
	}
	return s, state.Errorf(state.NotFound, "there is no stack %s", name)
}

func (w *world) Outputs(_ context.Context, stack string) (out map[string]state.Device, err error) {
	if _, err := w.Stack(context.Background(), stack); err != nil {
		return nil, err
	}
	err = w.locked(func() { out = maps.Clone(w.outputs[stack]) })
	return out, err
}

func (w *world) Versions(_ context.Context, stack string) (out []state.StateVersion, err error) {
	if _, err := w.Stack(context.Background(), stack); err != nil {
		return nil, err
	}
	err = w.locked(func() { out = slices.Clone(w.versions[stack]) })
	return out, err
}

func (w *world) StateBytes(_ context.Context, v state.StateVersion) (bytes []byte, err error) {
	err = w.locked(func() {
		for _, known := range w.versions[v.Stack] {
			if known.SHA256 == v.SHA256 {
				bytes = known.Bytes
			}
		}
	})
	return bytes, err
}

func (w *world) Runs(_ context.Context, f state.RunFilter) (out []state.Run, err error) {
	err = w.locked(func() {
		for _, r := range slices.Backward(w.runs) {
			if (f.Stack == "" || f.Stack == r.Stack) && (f.Phase == "" || f.Phase == r.Phase) &&
				(f.Before == 0 || r.ID < f.Before) && len(out) < f.Limit {
				out = append(out, r)
			}
		}
	})
	return out, err
}

func (w *world) Run(_ context.Context, id int64) (state.Run, error) {
	runs, err := w.Runs(context.Background(), state.RunFilter{Before: id + 1, Limit: 1})
	if err != nil || len(runs) == 1 && runs[0].ID == id {
		return append(runs, state.Run{})[0], err
	}
	return state.Run{}, state.Errorf(state.NotFound, "there is no run %d", id)
}

func (w *world) RunPlan(_ context.Context, id int64) (plan state.Plan, err error) {
	found := false
	if err := w.locked(func() { plan, found = w.plans[id] }); err != nil || found {
		return plan, err
	}
	return plan, state.Errorf(state.NotFound, "run %d has no plan", id)
}

func (w *world) RunLog(_ context.Context, id int64) (log string, err error) {
	err = w.locked(func() { log = w.logs[id] })
	return log, err
}

func (w *world) Decisions(_ context.Context, before int64, limit int) (out []state.Decision, err error) {
	err = w.locked(func() {
		for _, d := range slices.Backward(w.decisions) {
			if (before == 0 || d.ID < before) && len(out) < limit {
				out = append(out, d)
			}
		}
	})
	return out, err
}

func (w *world) Events(_ context.Context, f state.EventFilter) (out []state.Event, read int64, err error) {
	err = w.locked(func() {
		read = int64(len(w.events))
		for _, e := range w.events {
			if e.Seq > f.After && (f.Server == "" || f.Server == e.Server) && (f.Stack == "" || f.Stack == e.Stack) &&
				(f.Kinds == nil || slices.Contains(f.Kinds, e.Kind)) {
				if out = append(out, e); len(out) == f.Limit {
					read = e.Seq
					return
				}
			}
		}
	})
	return out, read, err
}

func (w *world) LastEvent(context.Context) (seq int64, err error) {
	err = w.locked(func() { seq = int64(len(w.events)) })
	return seq, err
}

// happen adds events of these servers to the log.
func (h *house) happen(servers ...string) {
	_ = h.world.locked(func() {
		for _, name := range servers {
			h.world.events = append(h.world.events, state.Event{Seq: int64(len(h.world.events)) + 1, ID: "e-" + name, Kind: state.ServerPhase, Server: name, At: time.Unix(1795447724, 0).UTC()})
		}
	})
	h.EventsRecorded()
}

func (w *world) Paused(context.Context) (paused bool, err error) {
	err = w.locked(func() { paused = w.paused })
	return paused, err
}

func (w *world) Create(_ context.Context, pool, by string) (s state.Server, err error) {
	if pool == "" {
		pool = "default"
	}
	if pool != "default" {
		return s, state.Errorf(state.Invalid, "there is no pool %s", pool)
	}
	err = w.locked(func() {
		w.by = by
		s = state.Server{Name: fmt.Sprintf("agent-%08d", len(w.servers)), Pool: pool, Phase: state.Pending,
			Provider: "packet", Capacity: 2, Created: time.Unix(1e9, 0), Updated: time.Unix(1e9, 0)}
		w.servers = append(w.servers, s)
	})
	return s, err
}

func (w *world) Destroy(_ context.Context, name string, force bool, by string) error {
	if _, err := w.Server(context.Background(), name); err != nil {
		return err
	}
	return w.locked(func() {
		w.by = by
		for i := range w.servers {
			if s := &w.servers[i]; s.Name == name {
				s.Condemned, s.Forced = true, force
				s.Phase = map[bool]state.Phase{false: state.Shutdown, true: state.Stopping}[force]
			}
		}
	})
}

func (w *world) Explain(context.Context) (e state.Explanation, err error) {
	err = w.locked(func() { e = w.explanation })
	return e, err
}

func (w *world) Pause(_ context.Context, by string) error {
	return w.locked(func() { w.paused, w.by = true, by })
}

func (w *world) Resume(_ context.Context, by string) error {
	return w.locked(func() { w.paused, w.by = false, by })
}

func (w *world) Poke() { _ = w.locked(func() { w.pokes++ }) }

func (w *world) Approve(_ context.Context, run int64, by string) error {
	return w.decide(run, func(r *state.Run) { r.Approved, r.By = time.Unix(1e9, 0).UTC(), by })
}

func (w *world) Discard(_ context.Context, run int64, by string) error {
	return w.decide(run, func(r *state.Run) { r.Phase, r.By = state.RunDiscarded, by })
}

func (w *world) decide(run int64, how func(*state.Run)) error {
	if _, err := w.Run(context.Background(), run); err != nil {
		return err
	}
	var err error
	if failed := w.locked(func() {
		for i := range w.runs {
			if r := &w.runs[i]; r.ID != run {
				continue
			} else if !r.Undecided() {
				err = state.Errorf(state.Conflict, "the run does not wait")
			} else {
				how(r)
			}
		}
	}); failed != nil {
		return failed
	}
	return err
}

func (w *world) Admin(_ context.Context, token string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.doubt != nil {
		return "", w.doubt
	}
	if login := w.admins[token]; login != "" {
		return login, nil
	}
	return "", state.Errorf(state.Unauthorized, "Drone does not know this token")
}

func (w *world) Still(_ context.Context, login string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.doubt != nil {
		return w.doubt
	}
	for _, known := range w.admins {
		if known == login {
			return nil
		}
	}
	return state.Errorf(state.Forbidden, "this is no admin")
}

// house is an API on a world, listening.
type house struct {
	*API
	world *world
	url   string
	log   *buffer
}

// buffer is a log that may be written and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// open serves an API on w, after change has had its say.
func open(t *testing.T, w *world, change func(*API)) *house {
	t.Helper()
	w.admins = map[string]string{token: "octocat"}
	h := &house{API: New(w, w, auditor{w}, w), world: w, log: &buffer{}}
	h.Log = slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if change != nil {
		change(h.API)
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer("", h.Handler())
	server.Start()
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// reply is what a house answered.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request with the admin's token; headers come in pairs and
// replace it.
func (h *house) ask(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{status: res.StatusCode, header: res.Header, body: string(got)}
}

// populated is a world with one of everything.
func populated() *world {
	at := time.Unix(1795447724, 0).UTC()
	device := state.Device{ID: "d-1", Address: "203.0.113.7", PrivateAddress: "10.0.0.7", State: "active", Region: "ewr1", Size: "c3.small.x86", Image: "ubuntu_24_04"}
	return &world{
		servers: []state.Server{
			{Name: "agent-aaaaaaaa", Pool: "default", Stack: "s1", Phase: state.Running, Provider: "packet", Capacity: 2, Device: device,
				Reason: "it takes stages", Created: at, Updated: at.Add(time.Minute), Started: at.Add(time.Minute)},
			{Name: "agent-bbbbbbbb", Pool: "default", Stack: "s1", Phase: state.Creating, Provider: "packet", Capacity: 2,
				Progress: state.Progress{Action: "create", Elapsed: 40*time.Second + 600*time.Millisecond}, Created: at, Updated: at},
			{Name: "agent-cccccccc", Pool: "default", Stack: "s1", Phase: state.Stopped, Provider: "packet", Capacity: 2,
				Error: "no capacity", Condemned: true, Created: at, Updated: at, Stopped: at},
		},
		stacks: []state.Stack{{Name: "s1", Pool: "default", Provider: "packet", Candidate: "ewr1/c3.small.x86", Module: "packet-0123456789ab",
			Resource: "equinix_metal_device.server", Generation: 3, Applied: 2, Created: at,
			Settings: map[string]any{"plan": "c3.small.x86", "api_token": "hush-1", "nested": map[string]any{"password": "hush-2", "a": 1.0},
				"list": []any{map[string]any{"User_Data": "hush-3", "b": "c"}}}}},
		outputs: map[string]map[string]state.Device{"s1": {"agent-aaaaaaaa": device}},
		versions: map[string][]state.StateVersion{"s1": {{Stack: "s1", Serial: 4, Lineage: "l", SHA256: "00ff", Size: 12, Run: 7, At: at,
			Bytes: []byte(`{"root_password":"hush-4"}`)}}},
		runs: []state.Run{
			{ID: 6, Stack: "s2", Pool: "default", Phase: state.RunErrored, Started: at},
			{ID: 7, Stack: "s1", Pool: "default", Phase: state.RunApplied, Generation: 2, Creates: []string{"agent-aaaaaaaa"},
				Diagnostics: []state.Diagnostic{{Severity: "warning", Summary: "deprecated"}}, Started: at, Finished: at},
			{ID: 8, Stack: "s1", Pool: "default", Phase: state.RunPlanning, Started: at},
		},
		plans: map[int64]state.Plan{7: {Text: "Plan: 1 to add <&>\n", JSON: []byte(`{"format_version":"1.2"}`)}},
		logs:  map[int64]string{7: "Apply complete!\n"},
		audit: state.Audit{At: at, Devices: 2, Findings: []state.Finding{{
			Kind: state.Orphan, Device: "d-9", Server: "agent-zzzzzzzz", Stack: "s9", Detail: "in no record", Held: true, First: at, Last: at}}},
		decisions: []state.Decision{{ID: 1, At: at}, {ID: 2, At: at, Unmatched: []state.Unmatched{{Asks: "pipeline/exec linux/amd64"}}}},
	}
}

// auditor is a world that is asked to look for machines.
type auditor struct{ world *world }

// Last answers what the newest sweep found.
func (a auditor) Last(context.Context) (state.Audit, error) { return a.world.audit, a.world.err }

// Sweep answers what it finds.
func (a auditor) Sweep(context.Context) (state.Audit, error) { return a.world.swept("look") }

// Adopt answers what it finds.
func (a auditor) Adopt(_ context.Context, by string) (state.Audit, error) {
	return a.world.swept("adopt by " + by)
}

// Destroy answers what it finds.
func (a auditor) Destroy(_ context.Context, by string) (state.Audit, error) {
	return a.world.swept("destroy by " + by)
}

func (w *world) swept(what string) (state.Audit, error) {
	w.sweeps = append(w.sweeps, what)
	return w.audit, w.err
}
