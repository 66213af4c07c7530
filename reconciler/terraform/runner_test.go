package terraform

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hangar/state"
)

func actions(plan state.Plan) map[string]string {
	found := map[string]string{}
	for _, c := range plan.Changes {
		found[c.Address] = strings.Join(c.Actions, ",")
	}
	return found
}

func address(server string) string {
	return `module.devices.equinix_metal_device.server["` + server + `"]`
}

func TestFromPlanToNothing(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-a", "agent-b", "agent-c")

	version, devices, err := g.Read(t.Context(), ws.Stack)
	if version != nil || len(devices) != 0 || err != nil {
		t.Errorf("before the first plan: %v, %v, %v", version, devices, err)
	}
	plan, err := g.Plan(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{address("agent-a"): "create", address("agent-b"): "create", address("agent-c"): "create"}
	if got := actions(plan); !maps.Equal(got, want) || len(plan.Drift) != 0 {
		t.Errorf("changes %v, drift %v; want %v and none", got, plan.Drift, want)
	}
	if !strings.Contains(plan.Text, "Plan: 3 to add, 0 to change, 0 to destroy.") || strings.Contains(plan.Text, "Saved the plan") {
		t.Errorf("text:\n%s", plan.Text)
	}

	var events []state.ApplyEvent
	result, err := g.Apply(t.Context(), ws, 3, func(e state.ApplyEvent) { events = append(events, e) })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(result.Log, "Apply complete! Resources: 3 added, 0 changed, 0 destroyed.") {
		t.Errorf("log:\n%s", result.Log)
	}
	version, devices, err = g.Read(t.Context(), ws.Stack)
	if err != nil {
		t.Fatal(err)
	}
	if version.Serial == 0 || version.Lineage == "" || len(version.SHA256) != 64 || version.Size != len(version.Bytes) || version.Size == 0 {
		t.Errorf("version %+v", version)
	}
	alive := g.world.Devices()
	if len(devices) != 3 || len(alive) != 3 {
		t.Fatalf("%d devices in the state, %d at the provider", len(devices), len(alive))
	}
	for _, d := range alive {
		known := devices[d.Hostname]
		if known.ID != d.ID || known.Address != d.Address || known.State != "active" || known.Size != "c3.small.x86" || known.Image != "ubuntu_24_04" || known.Region != "ewr1" {
			t.Errorf("the state has %+v of %+v", known, d)
		}
		if want := []string{"hangar", "hangar-instance=i-1", "hangar-stack=s1", "hangar-server=" + d.Hostname, "team=ci"}; !slices.Equal(d.Tags, want) {
			t.Errorf("tags %v, want %v", d.Tags, want)
		}
		if !strings.Contains(d.UserData, rpcSecret) {
			t.Errorf("user data %q", d.UserData)
		}
		done := slices.IndexFunc(events, func(e state.ApplyEvent) bool { return e.Server == d.Hostname && e.Done })
		if done < 0 || events[done].ID != d.ID || events[done].Device == nil || *events[done].Device != known {
			t.Errorf("no event, or not with its device, of %s in %+v", d.Hostname, events)
		}
	}

	ws.Servers = ws.Servers[1:]
	plan, err = g.Plan(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	want = map[string]string{address("agent-a"): "delete", address("agent-b"): "no-op", address("agent-c"): "no-op"}
	if got := actions(plan); !maps.Equal(got, want) {
		t.Errorf("changes %v, want %v", got, want)
	}
	if _, err := g.Apply(t.Context(), ws, 1, func(state.ApplyEvent) {}); err != nil {
		t.Fatal(err)
	}
	ws.Servers = nil
	events = g.apply(t, ws, 2)
	if _, devices, err = g.Read(t.Context(), ws.Stack); err != nil || len(devices) != 0 || len(g.world.Devices()) != 0 {
		t.Errorf("at the end: %v, %v, %v", devices, g.world.Devices(), err)
	}
	for _, server := range []string{"agent-b", "agent-c"} {
		if !slices.ContainsFunc(events, func(e state.ApplyEvent) bool { return e.Server == server && e.Action == "delete" && e.Done }) {
			t.Errorf("no event of the end of %s in %+v", server, events)
		}
	}
	if err := g.Remove("s1"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(g.Dir, "stacks", "s1")); !os.IsNotExist(err) {
		t.Errorf("the stack's folder is still there: %v", err)
	}
}

// A person goes to the stack's folder and plans, with the key alone.
func TestPlanByHandShowsNoChanges(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-a", "agent-b")
	g.apply(t, ws, 2)
	cmd := exec.Command(g.Binary.Path, "plan", "-no-color", "-detailed-exitcode")
	cmd.Dir = filepath.Join(g.Dir, "stacks", "s1")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "METAL_AUTH_TOKEN=" + apiKey, "CHECKPOINT_DISABLE=1"}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No changes.") {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestUserDataIsWrittenOnce(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-a", "agent-b")
	dir := filepath.Join(g.Dir, "stacks", "s1", "cloud-init")
	if _, err := g.Plan(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "agent-b.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ws.Servers = ws.Servers[1:]
	if _, err := g.Plan(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(dir, "agent-b.yaml"))
	if err != nil || string(after) != string(before) || g.created.Load() != 2 {
		t.Errorf("user data was %q and is %q (%v), made %d times", before, after, err, g.created.Load())
	}
	if _, err := os.Stat(filepath.Join(dir, "agent-a.yaml")); !os.IsNotExist(err) {
		t.Errorf("the user data of a server that is gone: %v", err)
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-a")
	if _, err := g.Plan(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		for _, name := range []string{"", "main.tf", "plan", "cloud-init", "cloud-init/agent-a.yaml", "terraform.tfstate", "terraform.tfstate.backup", ".terraform", lockFile} {
			info, err := os.Stat(filepath.Join(g.Dir, "stacks", "s1", name))
			if os.IsNotExist(err) {
				continue
			}
			if err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%q: %v, %v", name, info.Mode(), err)
			}
		}
	}
	check()
	if _, err := g.Apply(t.Context(), ws, 1, func(state.ApplyEvent) {}); err != nil {
		t.Fatal(err)
	}
	check()
	if _, err := os.Stat(filepath.Join(g.Dir, "stacks", "s1", "plan")); !os.IsNotExist(err) {
		t.Errorf("the applied plan is still there: %v", err)
	}
}

func TestScratchChangesNothing(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-a", "agent-b")
	g.apply(t, ws, 2)
	before := tree(t, g.Dir)
	aside, err := g.Scratch(t.Context(), t.TempDir(), "s1", "s2")
	if err != nil {
		t.Fatal(err)
	}
	ws.Servers = ws.Servers[:1]
	plan, err := aside.Plan(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{address("agent-a"): "no-op", address("agent-b"): "delete"}
	if got := actions(plan); !maps.Equal(got, want) {
		t.Errorf("changes %v, want %v", got, want)
	}
	plan, err = aside.Plan(t.Context(), g.workspace("s2", "agent-c"))
	if err != nil || len(plan.Changes) != 1 {
		t.Errorf("a new stack: %v, %v", plan.Changes, err)
	}
	if after := tree(t, g.Dir); !maps.Equal(after, before) {
		t.Errorf("the data folder was %v and is %v", before, after)
	}
}

// tree returns the files under dir with their contents.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var content []byte
			content, err = os.ReadFile(path)
			files[path] = string(content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestKeepModules(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-a")
	if _, err := g.Plan(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(g.Dir, "modules", "packet-00000000"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := g.KeepModules(g.module.Folder()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(g.Dir, "modules"))
	if err != nil || len(entries) != 1 || entries[0].Name() != g.module.Folder() {
		t.Errorf("modules %v, %v", entries, err)
	}
	if _, err := g.Plan(t.Context(), ws); err != nil {
		t.Error(err)
	}
}

func TestNamesThatLeadElsewhere(t *testing.T) {
	r, err := New(t.TempDir(), Binary{Path: "/nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".", "..", "../x", "a/b", ".hidden"} {
		if err := r.Remove(name); err == nil {
			t.Errorf("stack %q was removed", name)
		}
	}
}

func TestManyStacksAtOnce(t *testing.T) {
	g := newRig(t)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			stack := fmt.Sprint("s", i)
			ws := g.workspace(stack, "agent-"+stack)
			if _, err := g.Plan(t.Context(), ws); err != nil {
				t.Error(err)
				return
			}
			if _, err := g.Apply(t.Context(), ws, 1, func(state.ApplyEvent) {}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(g.world.Devices()); n != 10 {
		t.Errorf("%d devices, want 10", n)
	}
}

// Every terraform is told when it has ended, and counted while it runs.
func TestProcessesAreTold(t *testing.T) {
	g := newRig(t)
	var mu sync.Mutex
	var steps []string
	g.Ran = func(step string, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if steps = append(steps, step); took <= 0 {
			t.Errorf("%s took %s", step, took)
		}
	}
	ws := g.workspace("s1", "agent-a")
	if _, err := g.Plan(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Apply(t.Context(), ws, 1, func(state.ApplyEvent) {}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"init", "plan", "show", "apply"}; !slices.Equal(steps, want) {
		t.Errorf("steps %v, want %v", steps, want)
	}
	failed := errors.New("failed")
	err := g.process("plan", func() error {
		if n := g.Processes(); n != 1 {
			t.Errorf("%d processes while one runs", n)
		}
		return failed
	})
	if err != failed || g.Processes() != 0 || len(steps) != 5 {
		t.Errorf("%v, %d processes, steps %v", err, g.Processes(), steps)
	}
}

// A saved plan is known again as long as neither it nor the state has changed,
// and how long it took to make is told.
func TestSavedPlansAreKnown(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-a")
	plan, err := g.Plan(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	if took := plan.Timings; took.Init <= 0 || took.Plan <= 0 || took.Show <= 0 {
		t.Errorf("timings %+v", took)
	}
	saved, err := g.Saved("s1")
	if err != nil || saved != plan.Saved || len(saved.Plan) != 64 || saved.State != "" {
		t.Errorf("saved %+v, planned %+v, %v", saved, plan.Saved, err)
	}
	if _, err := g.Apply(t.Context(), ws, 1, func(state.ApplyEvent) {}); err != nil {
		t.Fatal(err)
	}
	if after, err := g.Saved("s1"); err != nil || after.Plan != "" || len(after.State) != 64 {
		t.Errorf("after the apply: %+v, %v", after, err)
	}
	ws.Servers = nil
	if plan, err = g.Plan(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	if again, err := g.Saved("s1"); err != nil || again != plan.Saved || again.Plan == saved.Plan || again.State == "" {
		t.Errorf("saved %+v, planned %+v, %v", again, plan.Saved, err)
	}
	if err := g.Rest(ws); err != nil {
		t.Fatal(err)
	}
	if rested, err := g.Saved("s1"); err != nil || rested.Plan != "" {
		t.Errorf("at rest: %+v, %v", rested, err)
	}
}
