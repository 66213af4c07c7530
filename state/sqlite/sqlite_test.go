package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// start is when the tests' world begins; its fraction ends in nanoseconds that
// the store does not keep.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("elsewhere", 3600))

// after is a time of the tests' world as the store returns it.
func after(d time.Duration) time.Time { return start.Add(d).UTC().Truncate(time.Microsecond) }

func TestMain(m *testing.M) {
	if path := os.Getenv(committerVariable); path != "" {
		committer(path)
	}
	os.Exit(m.Run())
}

// needs skips the test for want of a tool, or fails it when HANGAR_REQUIRE
// names the tool.
func needs(t *testing.T, tool string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if slices.Contains(strings.Split(os.Getenv("HANGAR_REQUIRE"), ","), tool) {
		t.Fatalf("%s: %v", tool, err)
	}
	t.Skipf("%s: %v", tool, err)
}

func newStore(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "database.sqlite"))
}

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get returns what a reading method returned, or ends the test.
func get[T any](t testing.TB, call func(context.Context) (T, error)) T {
	t.Helper()
	v, err := call(t.Context())
	must(t, err)
	return v
}

func wantCode(t testing.TB, err error, code state.Code, says ...string) {
	t.Helper()
	if err == nil || state.CodeOf(err) != code {
		t.Fatalf("error %v of code %q, want code %q", err, state.CodeOf(err), code)
	}
	for _, words := range says {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("error %q does not say %q", err, words)
		}
	}
}

func wantEqual[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func stackOf(name string) state.Stack {
	return state.Stack{
		Name: name, Pool: "default", Provider: "packet", Candidate: "ewr1/c3", Module: "packet-0a1b", Resource: "equinix_metal_device.server",
		Settings: map[string]any{"plan": "c3", "facilities": []any{"ewr1"}, "hourly": true, "size": 1.5, "more": map[string]any{"a": "b"}},
	}
}

func serverOf(name, stack string) state.Server {
	return state.Server{Name: name, Pool: "default", Stack: stack, Phase: state.Pending, Provider: "packet", Capacity: 2, Reason: "wanted"}
}

// grow commits a stack with servers, at the given time.
func grow(t testing.TB, s *Store, at time.Time, stack string, servers ...string) {
	t.Helper()
	c := state.Changes{At: at, Stacks: []state.Stack{stackOf(stack)}}
	for _, name := range servers {
		c.Servers = append(c.Servers, serverOf(name, stack))
	}
	must(t, s.Commit(t.Context(), c))
}

// moveTo commits a move of one server from the phase in which it is.
func moveTo(t testing.TB, s *Store, at time.Time, server string, to state.Phase) {
	t.Helper()
	must(t, s.Commit(t.Context(), state.Changes{At: at, Moves: []state.Move{
		{Server: server, From: serverNow(t, s, server).Phase, To: to, Reason: "moved to " + string(to)},
	}}))
}

func serverNow(t testing.TB, s *Store, name string) state.Server {
	t.Helper()
	server, err := s.Server(t.Context(), name)
	must(t, err)
	return server
}

func stackNow(t testing.TB, s *Store, name string) state.Stack {
	t.Helper()
	stack, err := s.Stack(t.Context(), name)
	must(t, err)
	return stack
}

func begin(t testing.TB, s *Store, at time.Time, stack string) (state.Run, state.Workspace) {
	t.Helper()
	run, ws, err := s.BeginRun(t.Context(), stack, at)
	must(t, err)
	return run, ws
}

// applying takes a run of the stack to its apply.
func applying(t testing.TB, s *Store, at time.Time, stack string) state.Run {
	t.Helper()
	run, _ := begin(t, s, at, stack)
	must(t, s.Planned(t.Context(), run.ID, at, state.Plan{Text: "a plan", JSON: []byte(`{}`)}, "passed"))
	must(t, s.BeginApply(t.Context(), run.ID, at))
	return run
}

func deviceOf(server string) state.Device {
	return state.Device{ID: "id-" + server, Address: "192.0.2.1", PrivateAddress: "10.0.0.1", State: "active", Region: "ewr1", Size: "c3", Image: "ubuntu"}
}

// applied takes a run through to a clean end: what it creates runs, what it
// deletes is gone.
func applied(t testing.TB, s *Store, at time.Time, stack string) state.Run {
	t.Helper()
	run := applying(t, s, at, stack)
	f := state.Finish{Run: run.ID, Phase: state.RunApplied, At: at, Applied: true, Outputs: map[string]state.Device{}}
	for _, name := range append(run.Creates, run.Keeps...) {
		d := deviceOf(name)
		f.Outputs[name] = d
		f.Servers = append(f.Servers, state.Outcome{Server: name, Phase: state.Running, Device: &d, Reason: "runs"})
	}
	for _, name := range run.Deletes {
		f.Servers = append(f.Servers, state.Outcome{Server: name, Phase: state.Stopped, Reason: "destroyed"})
	}
	f.Version = &state.StateVersion{Serial: run.ID, Lineage: "l", Bytes: fmt.Appendf(nil, "state after run %d", run.ID)}
	must(t, s.Finish(t.Context(), f))
	return run
}

func names(servers []state.Server) []string {
	list := []string{}
	for _, s := range servers {
		list = append(list, s.Name)
	}
	return list
}

func stackNames(stacks []state.Stack) []string {
	list := []string{}
	for _, s := range stacks {
		list = append(list, s.Name)
	}
	return list
}

// snapshot reads what the fast loop decides on, a minute after the start.
func snapshot(s *Store) func(context.Context) (state.Snapshot, error) {
	return func(ctx context.Context) (state.Snapshot, error) { return s.Snapshot(ctx, start.Add(time.Minute)) }
}

// shown records that a stack's state shows the devices of servers.
func shown(t testing.TB, s *Store, stack string, servers ...string) {
	t.Helper()
	devices := map[string]state.Device{}
	for _, name := range servers {
		devices[name] = state.Device{ID: "id-" + name}
	}
	_, err := s.writer.Exec("UPDATE stacks SET outputs = ? WHERE name = ?", asJSON{devices}, stack)
	must(t, err)
}
