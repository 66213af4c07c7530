package api

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hangar/state"
	"hangar/state/sqlite"
)

// The real store answers through the API, and answers the same after a
// restart.
func TestSqlite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "database.sqlite")
	store, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	record(t, store)

	var before map[string]reply
	for _, round := range []string{"at first", "after a restart"} {
		w := &world{}
		h := open(t, w, func(a *API) { a.store = store })
		answers := make(map[string]reply)
		for _, tt := range []struct{ path, want string }{
			{"/varz", `{"paused":true}`},
			{"/api/servers", `"id":"d-1"`},
			{"/api/servers/agent-aaaaaaaa", `"address":"203.0.113.7"`},
			{"/api/servers/agent-bbbbbbbb", `"state":"stopped"`},
			{"/api/stacks", `"name":"s1"`},
			{"/api/stacks/s1", `"plan":"c3.small.x86"`},
			{"/api/stacks/s1/outputs", `{"agent-aaaaaaaa":{"id":"d-1"`},
			{"/api/stacks/s1/versions", `"serial":1,"lineage":"l","sha256":"`},
			{"/api/runs?stack=s1&phase=applied", `"creates":["agent-aaaaaaaa","agent-bbbbbbbb"]`},
			{"/api/runs/1", `"log":"Apply complete!"`},
			{"/api/runs/1/plan", "Plan: 2 to add"},
			{"/api/runs/1/plan?format=json", `{"format_version":"1.2"}`},
			{"/api/decisions", `"reason":"two stages wait"`},
		} {
			got := h.ask(t, "GET", tt.path, "")
			if got.status != 200 || !strings.Contains(got.body, tt.want) || strings.Contains(got.body, "hush") {
				t.Errorf("%s: %s: got %+v, want %s", round, tt.path, got, tt.want)
			}
			if before != nil && before[tt.path].body != got.body {
				t.Errorf("%s was %s, is %s", tt.path, before[tt.path].body, got.body)
			}
			answers[tt.path] = got
		}
		for _, path := range []string{
			"/api/servers/x", "/api/stacks/x", "/api/stacks/x/outputs", "/api/stacks/x/versions", "/api/runs/9", "/api/runs/9/plan",
		} {
			wantFailure(t, h.ask(t, "GET", path, ""), 404, "there is no")
		}
		before = answers
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if store, err = sqlite.Open(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// record fills a store with a stack whose first run made one server of two.
func record(t *testing.T, store *sqlite.Store) {
	t.Helper()
	ctx, at := t.Context(), time.Unix(1795447724, 0).UTC()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(store.Commit(ctx, state.Changes{
		At:       at,
		Decision: &state.Decision{At: at, Pools: []state.PoolDecision{{Pool: "default", Create: 2, Reason: "two stages wait"}}},
		Stacks: []state.Stack{{Name: "s1", Pool: "default", Provider: "packet", Candidate: "ewr1", Module: "packet-0",
			Resource: "equinix_metal_device.server", Settings: map[string]any{"plan": "c3.small.x86"}, Created: at}},
		Servers: []state.Server{
			{Name: "agent-aaaaaaaa", Pool: "default", Stack: "s1", Phase: state.Pending, Provider: "packet", Capacity: 2, Created: at},
			{Name: "agent-bbbbbbbb", Pool: "default", Stack: "s1", Phase: state.Pending, Provider: "packet", Capacity: 2, Created: at},
		},
	}))
	run, _, err := store.BeginRun(ctx, "s1", at)
	must(err)
	must(store.Planned(ctx, run.ID, at, state.Plan{Text: "Plan: 2 to add", JSON: []byte(`{"format_version":"1.2"}`)}, "passed"))
	must(store.BeginApply(ctx, run.ID, at))
	device := state.Device{ID: "d-1", Address: "203.0.113.7", State: "active"}
	must(store.Finish(ctx, state.Finish{
		Run: run.ID, Phase: state.RunApplied, At: at, Log: "Apply complete!", Applied: true,
		Version: &state.StateVersion{Stack: "s1", Serial: 1, Lineage: "l", Run: run.ID, At: at, Bytes: []byte("hush")},
		Outputs: map[string]state.Device{"agent-aaaaaaaa": device},
		Servers: []state.Outcome{
			{Server: "agent-aaaaaaaa", Phase: state.Running, Device: &device},
			{Server: "agent-bbbbbbbb", Phase: state.Stopped, Error: "no capacity"},
		},
	}))
	must(store.SetPaused(ctx, true, "octocat", at))
}
