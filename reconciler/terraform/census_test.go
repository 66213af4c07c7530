package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
	"hangar/tfmodules"
)

// ask sends a request to the simulated API.
func (g *rig) ask(t testing.TB, method, path string, body any) []byte {
	t.Helper()
	payload, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(method, g.server.URL+"/metal/v1"+path, bytes.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Auth-Token", apiKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(response.Body); err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %v: %s", method, path, response.Status, err, answer.String())
	}
	return answer.Bytes()
}

// device makes a device that terraform does not know, and returns its id.
func (g *rig) device(t testing.TB, hostname string, tags ...string) string {
	t.Helper()
	var made struct{ ID string }
	answer := g.ask(t, "POST", "/projects/p-1/devices", map[string]any{
		"facility": []string{"ewr1"}, "plan": "c3.small.x86", "operating_system": "ubuntu_24_04",
		"hostname": hostname, "tags": tags, "userdata": rpcSecret,
	})
	if err := json.Unmarshal(answer, &made); err != nil {
		t.Fatal(err)
	}
	return made.ID
}

// settle waits until no device is about to change its state.
func (g *rig) settle(t testing.TB) {
	t.Helper()
	for {
		changed := g.world.Changed()
		if !slices.ContainsFunc(g.world.Devices(), func(d simulator.Device) bool { return d.State == "queued" || d.State == "provisioning" }) {
			return
		}
		<-changed
	}
}

// question asks for a tag, with the settings of a stack.
func (g *rig) question(tag string, known ...string) state.Question {
	return state.Question{Module: g.module.Folder(), Settings: g.workspace("s1").Stack.Settings, Tag: tag, Known: known}
}

// hosts asks and returns the states by host name.
func (g *rig) hosts(t *testing.T, q state.Question) map[string]state.FoundState {
	t.Helper()
	found, err := g.Census(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]state.FoundState{}
	for _, f := range found {
		if _, twice := states[f.Hostname]; twice {
			t.Errorf("%s is there twice", f.Hostname)
		}
		states[f.Hostname] = f.State
	}
	return states
}

func TestCensus(t *testing.T) {
	g := newRig(t)
	queries := g.record(t)
	tags := func(stack, server string) []string { return tfmodules.Tags("i-1", stack, server, []string{"team=ci"}) }
	stack := map[string]state.FoundState{}
	for i := range 12 { // more than a page
		name := fmt.Sprint("agent-", i)
		g.device(t, name, tags("s1", name)...)
		stack[name] = state.FoundActive
	}
	g.device(t, "agent-s10", tags("s10", "agent-s10")...) // the API's search for s1 finds it too
	bare := g.device(t, "bare")
	g.device(t, "foreign", tfmodules.Tags("i-2", "s1-of-i-2", "foreign", nil)...)
	g.device(t, "odd", "hangar-instance=i-1", "hangar-server=a", "hangar-server=b", "hangar-stack=", "hangar", "=", "hangar-stack")
	g.world.SetFaults(simulator.Faults{DeviceFails: 1, Deprovision: time.Hour})
	g.device(t, "failing", tags("s2", "failing")...)
	leaving := g.device(t, "leaving", tags("s2", "leaving")...)
	g.settle(t)
	g.ask(t, "DELETE", "/devices/"+leaving, nil)

	second := map[string]state.FoundState{"failing": state.FoundFailed, "leaving": state.FoundLeaving}
	all := maps.Clone(stack)
	maps.Copy(all, second)
	maps.Copy(all, map[string]state.FoundState{"agent-s10": state.FoundActive, "odd": state.FoundActive})
	withBare := maps.Clone(stack)
	withBare["bare"] = state.FoundActive
	for _, tt := range []struct {
		name     string
		question state.Question
		want     map[string]state.FoundState
		requests int
		search   string
	}{
		{"a stack", g.question("hangar-stack=s1"), stack, 2, "hangar-stack=s1"},
		{"other states", g.question("hangar-stack=s2"), second, 1, "hangar-stack=s2"},
		{"an installation", g.question("hangar-instance=i-1"), all, 2, "hangar-instance=i-1"},
		{"nothing", g.question("hangar-stack=s9"), map[string]state.FoundState{}, 1, "hangar-stack=s9"},
		{"a known one without tags", g.question("hangar-stack=s1", bare, "no such id", bare), withBare, 4, ""},
		{"known ones with tags", g.question("hangar-stack=s2", leaving), second, 2, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			queries() // those of the time before
			if got := g.hosts(t, tt.question); !maps.Equal(got, tt.want) {
				t.Errorf("found %v, want %v", got, tt.want)
			}
			asked := queries()
			if len(asked) != tt.requests || slices.ContainsFunc(asked, func(search string) bool { return search != tt.search }) {
				t.Errorf("asked for %q, want %d times %q", asked, tt.requests, tt.search)
			}
		})
	}
}

// record lets the runner see the API through another address, which writes
// down what lists of devices are searched for, since the last call.
func (g *rig) record(t *testing.T) (searched func() []string) {
	var mu sync.Mutex
	var queries []string
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/devices") {
			mu.Lock()
			queries = append(queries, r.URL.Query().Get("search"))
			mu.Unlock()
		}
		g.world.Metal().ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	g.Provider = map[string]map[string]any{"packet": {"endpoint": server.URL}}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		asked := queries
		queries = nil
		return asked
	}
}

func TestCensusTellsWhatTagsTell(t *testing.T) {
	g := newRigIn(t, need(t, "terraform"), time.Hour)
	ids := []string{
		g.device(t, "agent-a", tfmodules.Tags("i-1", "s1", "agent-a", nil)...),
		g.device(t, "odd", "hangar-stack=s1", "hangar-server=x", "hangar-server=y", "hangar-instance", "="),
	}
	found, err := g.Census(t.Context(), g.question("hangar-stack=s1"))
	if err != nil {
		t.Fatal(err)
	}
	want := []state.Found{
		{ID: ids[0], Hostname: "agent-a", Server: "agent-a", Stack: "s1", Instance: "i-1", State: state.FoundBooting},
		{ID: ids[1], Hostname: "odd", Server: "x", Stack: "s1", State: state.FoundBooting},
	}
	if !slices.Equal(found, want) {
		t.Errorf("found %+v, want %+v", found, want)
	}
}

// A denied list makes the real provider, and the stand-in, crash.
func TestCensusDenied(t *testing.T) {
	g := newRig(t)
	g.device(t, "agent-a", "hangar-stack=s1")
	g.world.SetFaults(simulator.Faults{Denied: true})
	found, err := g.Census(t.Context(), g.question("hangar-stack=s1"))
	failure, ok := errors.AsType[*Error](err)
	const want = "census hangar-stack=s1: the provider crashed while it listed the devices: It may do so when the API refuses the list"
	if !ok || found != nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(failure.Log, "panic: runtime error") {
		t.Fatalf("found %v, error %v", found, err)
	}
	noSecrets(t, "the error", err)
	g.world.SetFaults(simulator.Faults{})
	if got := g.hosts(t, g.question("hangar-stack=s1")); len(got) != 1 {
		t.Errorf("found %v afterwards", got)
	}
}

func TestCensusWhileAStackIsApplied(t *testing.T) {
	g := newRigIn(t, need(t, "terraform"), 2*time.Second)
	ws := g.workspace("s1", "agent-a", "agent-b")
	if _, err := g.Plan(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	applied := make(chan error, 1)
	go func() {
		_, err := g.Apply(t.Context(), ws, 2, func(state.ApplyEvent) {})
		applied <- err
	}()
	for len(g.world.Devices()) < 2 {
		<-g.world.Changed()
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			found, err := g.Census(t.Context(), g.question("hangar-stack=s1"))
			if err != nil || len(found) != 2 {
				t.Errorf("found %v, %v", found, err)
			}
		})
	}
	wg.Wait()
	if err := <-applied; err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(filepath.Join(g.Dir, "census"))
	if err != nil || len(entries) != 3 {
		t.Errorf("folders %v, %v", entries, err)
	}
}

func TestCensusIsCalledOff(t *testing.T) {
	g := newRig(t)
	queries := g.record(t)
	g.world.SetFaults(simulator.Faults{Slow: 1, SlowBy: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for len(queries()) == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	began := time.Now()
	if _, err := g.Census(ctx, g.question("hangar-stack=s1")); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "census hangar-stack=s1: ") {
		t.Errorf("error %v", err)
	}
	if d := time.Since(began); d > 30*time.Second {
		t.Errorf("it took %s to end", d)
	}
	g.world.SetFaults(simulator.Faults{})
	if got := g.hosts(t, g.question("hangar-stack=s1")); len(got) != 0 {
		t.Errorf("found %v afterwards", got)
	}
}

func TestCensusLeavesNoSecrets(t *testing.T) {
	g := newRig(t)
	g.device(t, "agent-a", "hangar-stack=s1")
	g.hosts(t, g.question("hangar-stack=s1"))
	err := filepath.WalkDir(g.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.Contains(path, filepath.Join(".terraform", "providers")) {
			return err
		}
		content, err := os.ReadFile(path)
		for _, secret := range []string{"Simulated-", rpcSecret, apiKey} { // the first begins the root passwords
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s has %s", path, secret)
			}
		}
		info, _ := d.Info()
		if strings.HasPrefix(path, filepath.Join(g.Dir, "census")) && filepath.Dir(filepath.Dir(filepath.Dir(path))) == g.Dir && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCensusInitialisesOnce(t *testing.T) {
	binary, calls, _ := wrapped(t)
	g := newRigWith(t, binary)
	dir := func(n int) string { return filepath.Join(g.Dir, "census", fmt.Sprintf("%s-%d", g.module.Folder(), n)) }
	census := func(want ...string) {
		t.Helper()
		g.hosts(t, g.question("hangar-stack=s1"))
		if got := called(t, calls); !slices.Equal(got, want) {
			t.Errorf("terraform was called with %v, want %v", got, want)
		}
	}
	called(t, calls)
	census("version", "init", "plan")
	census("plan")
	// What a killed process and a curious person leave behind.
	put(t, filepath.Join(dir(1), "terraform.tfstate"), wholeState)
	put(t, filepath.Join(dir(1), "more.tf"), `resource "terraform_data" "x" {}`)
	put(t, filepath.Join(dir(1), "main.tf"), `torn {`)
	census("plan")
	g.censuses.take(g.module.Folder())
	census("plan")
	if _, err := os.Stat(dir(2)); err != nil {
		t.Errorf("no second folder while the first is taken: %v", err)
	}
}

func TestCensusInScratch(t *testing.T) {
	g := newRig(t)
	g.device(t, "agent-a", "hangar-stack=s1")
	g.hosts(t, g.question("hangar-stack=s1"))
	before := tree(t, g.Dir)
	aside, err := g.Scratch(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if found, err := aside.Census(t.Context(), g.question("hangar-stack=s1")); err != nil || len(found) != 1 {
		t.Errorf("found %v, %v", found, err)
	}
	if after := tree(t, g.Dir); !maps.Equal(after, before) {
		t.Errorf("the data folder was %v and is %v", before, after)
	}
}

func TestKeepModulesKeepsCensuses(t *testing.T) {
	g := newRig(t)
	g.hosts(t, g.question("hangar-stack=s1"))
	census := filepath.Join(g.Dir, "census", g.module.Folder()+"-1")
	g.censuses.take(g.module.Folder())
	if err := g.KeepModules(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{census, filepath.Join(g.Dir, "modules", g.module.Folder())} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("while a census uses it: %v", err)
		}
	}
	g.censuses.leave(filepath.Base(census))
	g.newest.Store("packet", "packet-00000000") // another one was installed since
	if err := g.KeepModules(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(census); !os.IsNotExist(err) {
		t.Errorf("when nothing uses it any more: %v", err)
	}
}

// custom is a user's module that needs no provider, with a census or not.
func custom(t *testing.T, census map[string]string) tfmodules.Module {
	t.Helper()
	fsys := fstest.MapFS{"main.tf": {Data: []byte(`
variable "devices" {
  type = map(object({ user_data = string, tags = list(string) }))
}
resource "terraform_data" "server" {
  for_each = var.devices
  lifecycle {
    ignore_changes = all
  }
}
output "devices" {
  value = { for name, s in terraform_data.server : name => { id = s.id } }
}
`)}}
	for name, text := range census {
		fsys["census/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	module, err := tfmodules.Load(fsys, "mine")
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func TestCensusOfUsersModules(t *testing.T) {
	g := newRig(t)
	const tag = "variable \"tag\" {}\n"
	for _, tt := range []struct {
		name   string
		census map[string]string
		want   string // of the error; empty: none
	}{
		{"none", nil, "module mine has no census: its machines cannot be looked for"},
		{"a constant", map[string]string{"main.tf": tag + `output "found" { value = [{ id = "1", state = "active", address = null }] }`}, ""},
		{"no list", map[string]string{"main.tf": tag + `output "found" { value = null }`}, "output found is not a list"},
		{"no id", map[string]string{"main.tf": tag + `output "found" { value = [{ state = "active" }] }`}, "item 0: there is no id"},
		{"another state", map[string]string{"main.tf": tag + `output "found" { value = [{ id = "1", state = "Active" }] }`}, `item 0: state "Active" is none of`},
		{"another shape", map[string]string{"main.tf": tag + `output "found" { value = [{ id = ["1"], state = "active" }] }`}, "item 0: json: cannot unmarshal array"},
		{"a secret", map[string]string{"main.tf": "variable \"tag\" { sensitive = true }\n" + `output "found" { value = var.tag }`}, "Output refers to sensitive values"},
		{"not known before an apply", map[string]string{"main.tf": tag + `output "found" { value = [{ id = timestamp(), state = "active" }] }`}, "output found cannot be read: (known after apply)"},
		{"something hidden that would be made", map[string]string{
			"main.tf":       tag + "module \"inner\" {\n source = \"./inner\"\n}\n" + `output "found" { value = [] }`,
			"inner/main.tf": `resource "terraform_data" "x" {}`,
		}, "would change something: Plan: 1 to add"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			module := custom(t, tt.census)
			if err := g.Install(module); err != nil {
				t.Fatal(err)
			}
			found, err := g.Census(t.Context(), state.Question{Module: module.Folder(), Tag: "hangar-stack=s1"})
			if tt.want == "" {
				if err != nil || !slices.Equal(found, []state.Found{{ID: "1", State: state.FoundActive}}) {
					t.Errorf("found %v, %v", found, err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "census hangar-stack=s1: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("found %v, error %v; want %s", found, err, tt.want)
			}
			if (state.CodeOf(err) == state.NotFound) != (tt.census == nil) {
				t.Errorf("code %q of %v", state.CodeOf(err), err)
			}
		})
	}
}

// A stack keeps the module it was born with; when that had no census yet, its
// machines are looked for by the newest copy's.
func TestCensusOfAnOldCopy(t *testing.T) {
	g := newRig(t)
	old := custom(t, nil)
	now := custom(t, map[string]string{"main.tf": "variable \"tag\" {}\n" + `output "found" { value = [{ id = "1", state = "active" }] }`})
	if err := g.Install(old, now); err != nil {
		t.Fatal(err)
	}
	found, err := g.Census(t.Context(), state.Question{Module: old.Folder(), Tag: "hangar-stack=s1"})
	if err != nil || len(found) != 1 {
		t.Errorf("found %v, %v", found, err)
	}
	of := func(m tfmodules.Module) string {
		scope, err := g.Scope(m.Folder(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return scope
	}
	if of(old) != of(now) {
		t.Errorf("%s and %s see the same machines", of(old), of(now))
	}
}
