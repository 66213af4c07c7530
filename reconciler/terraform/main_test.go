package terraform

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/reconciler/simulator/schematest"
	"hangar/state"
	"hangar/tfmodules"
)

// mirror holds this test's own binary as the stand-in for equinix/equinix.
var mirror string

func TestMain(m *testing.M) {
	if schematest.Is() {
		if err := schematest.Serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if simulator.IsProvider(os.Args[0]) {
		if err := simulator.ServeProvider(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// Where terraform is not on PATH, the pinned one is installed once.
	if cache, err := os.UserCacheDir(); err == nil {
		found, err := Find(context.Background(), FindOptions{Dir: filepath.Join(cache, "hangar-tests")})
		if err == nil {
			os.Setenv("PATH", filepath.Dir(found.Path)+string(os.PathListSeparator)+os.Getenv("PATH"))
		}
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mirror")
	if err == nil {
		mirror = dir
		err = simulator.Mirror(dir, simulator.Waits{FirstPoll: 50 * time.Millisecond, NextPoll: 50 * time.Millisecond, MaxPoll: 50 * time.Millisecond, FirstRetry: 10 * time.Millisecond, MaxRetry: 10 * time.Millisecond})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return m.Run()
}

// need skips a test that needs a program which is not there, unless
// HANGAR_REQUIRE names it.
func need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if slices.Contains(strings.Split(os.Getenv("HANGAR_REQUIRE"), ","), program) {
		t.Fatal(err)
	}
	t.Skip(err)
	return ""
}

// The secrets that must never be seen again.
const (
	rpcSecret = `correct "horse" <battery> & staple`
	apiKey    = "metal-key-0123456789"
)

// rig is a runner in a data folder of its own, against a simulated API.
type rig struct {
	*Runner
	world   *simulator.World
	server  *httptest.Server
	module  tfmodules.Module
	created atomic.Int32 // user data made
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigWith(t, need(t, "terraform"))
}

func newRigWith(t testing.TB, binary string) *rig {
	t.Helper()
	return newRigIn(t, binary, 20*time.Millisecond)
}

// newRigIn is a rig in a world where devices take so long to boot.
func newRigIn(t testing.TB, binary string, boot time.Duration) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	world := simulator.New(simulator.Config{APIKey: apiKey, ProjectID: "p-1", BootTime: boot})
	go world.Run(ctx)
	server := httptest.NewServer(world.Metal())
	t.Cleanup(func() { cancel(); server.Close() })

	found, err := Find(t.Context(), FindOptions{Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	runner, err := New(filepath.Join(t.TempDir(), "data"), found)
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{Runner: runner, world: world, server: server}
	g.Mirror = mirror
	if g.Env, err = Environment(os.LookupEnv, nil); err != nil {
		t.Fatal(err)
	}
	g.Keys = func() map[string]map[string]string {
		return map[string]map[string]string{"packet": {"METAL_AUTH_TOKEN": apiKey}}
	}
	g.Env["GORACE"] = "atexit_sleep_ms=0" // under -race every provider would linger for a second
	g.Provider = map[string]map[string]any{"packet": {"endpoint": server.URL}}
	g.Instance, g.ExtraTags = "i-1", map[string][]string{"packet": {"team=ci"}}
	g.Secrets = []string{rpcSecret, apiKey}
	g.UserData = func(s state.Server) ([]byte, error) {
		n := g.created.Add(1)
		return fmt.Appendf(nil, "#cloud-config\n# %s %d %s\n", s.Name, n, rpcSecret), nil
	}
	if g.module, err = tfmodules.Shipped("packet"); err != nil {
		t.Fatal(err)
	}
	if err := g.Install(g.module); err != nil {
		t.Fatal(err)
	}
	return g
}

// workspace is a stack with servers of these names.
func (g *rig) workspace(stack string, servers ...string) state.Workspace {
	ws := state.Workspace{Stack: state.Stack{
		Name: stack, Pool: "default", Provider: "packet", Candidate: "ewr1",
		Module: g.module.Folder(), Resource: g.module.Resource,
		Settings: map[string]any{"facility": "ewr1", "plan": "c3.small.x86", "image": "ubuntu_24_04", "project_id": "p-1"},
	}}
	for _, name := range servers {
		ws.Servers = append(ws.Servers, state.Server{Name: name, Stack: stack})
	}
	return ws
}

// apply plans and applies, and returns the events.
func (g *rig) apply(t *testing.T, ws state.Workspace, changes int) []state.ApplyEvent {
	t.Helper()
	if _, err := g.Plan(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	var events []state.ApplyEvent
	if _, err := g.Apply(t.Context(), ws, changes, func(e state.ApplyEvent) { events = append(events, e) }); err != nil {
		t.Fatal(err)
	}
	return events
}
