package terraform

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hangar/reconciler"
	"hangar/reconciler/simulator/schematest"
	"hangar/state"
	"hangar/tfmodules"
)

// shipped is what a module that comes with hangar is put to, beside its defaults.
type shipped struct {
	module   string
	settings map[string]any
	region   string         // in which its servers are
	active   string         // state of a server that runs, in the provider's words
	wrong    map[string]any // a wrong value for each of some settings
	private  string         // beginning of the private address; empty: it need have none
	updates  bool           // the provider would update what it imports
}

var shippedModules = []shipped{
	{
		module: "hetznercloud", region: "fsn1", active: "running",
		settings: map[string]any{"ssh_keys": []any{"4711"}, "firewall_ids": []any{7.0}, "labels": map[string]any{"team": "ci"}},
		wrong:    map[string]any{"location": "fsn1 or so", "server_type": "", "image": "", "labels": map[string]any{"hangar-stack": "x"}, "create_timeout": "soon"},
	},
	{
		module: "digitalocean", region: "nyc1", active: "active", private: "10.",
		settings: map[string]any{"ssh_keys": []any{"aa:bb"}, "tags": []any{"ci:builds"}},
		wrong:    map[string]any{"region": "new york", "size": "", "image": "", "tags": []any{"a=b"}, "create_timeout": "soon"},
	},
	{
		module: "vultr", region: "ewr", active: "active",
		settings: map[string]any{"ssh_key_ids": []any{"key-1"}, "tags": []any{"team=ci"}},
		wrong:    map[string]any{"region": "newark", "plan": "", "os_id": 0, "tags": []any{""}, "create_timeout": "soon"},
	},
	{
		module: "vultr-instance", region: "ewr", active: "active", private: "10.",
		settings: map[string]any{"firewall_group_id": "group-1", "vpc_ids": []any{"vpc-1"}},
		wrong:    map[string]any{"region": "newark", "plan": "", "os_id": 0, "tags": []any{"Hangar"}, "create_timeout": "soon"},
	},
	{
		module: "scaleway", region: "fr-par-1", active: "started",
		settings: map[string]any{"project_id": "p-1", "security_group_id": "fr-par-1/group-1", "volume_size": 40, "private_network_id": "fr-par/pn-1"},
		wrong:    map[string]any{"zone": "paris", "type": "dev1-l", "image": "", "volume_size": 1, "tags": []any{""}, "create_timeout": "soon"},
	},
	{
		module: "scaleway-baremetal", region: "fr-par-2", active: "installed",
		settings: map[string]any{"os": "7e865c16-1a63-4dc7-8181-dabc020fc21b", "ssh_key_ids": []any{"key-1"}},
		wrong:    map[string]any{"zone": "paris", "offer": "", "os": "ubuntu", "ssh_key_ids": []any{}, "tags": []any{""}, "create_timeout": "soon"},
	},
	{
		module: "latitude", region: "SAO", active: "on", updates: true,
		settings: map[string]any{"project": "proj_1", "ssh_keys": []any{"ssh_1"}},
		wrong:    map[string]any{"site": "sao paulo", "plan": "", "operating_system": "ipxe", "project": "", "billing": "weekly", "create_timeout": "soon"},
	},
	{
		module: "openstack", region: "RegionOne", active: "active",
		settings: map[string]any{"flavor": "m1.large", "image": "7e865c16-1a63-4dc7-8181-dabc020fc21b", "network": "builds", "metadata": map[string]any{"team": "ci"}},
		wrong:    map[string]any{"flavor": "", "image": "", "metadata": map[string]any{"hangar": "x"}, "create_timeout": "soon"},
	},
	{
		module: "openstack", region: "RegionOne", active: "active", private: "10.",
		settings: map[string]any{"flavor": "m1.large", "image": "ubuntu", "network": "7e865c16-1a63-4dc7-8181-dabc020fc21b", "floating_ip_pool": "public"},
		wrong:    map[string]any{"network": "builds"},
	},
}

// TestShippedModules puts every module that comes with hangar, but packet, which
// has a stand-in of its own, through what hangar does with it, by real terraform
// and a provider made from the real one's schema.
func TestShippedModules(t *testing.T) {
	binary := need(t, "terraform")
	found, err := Find(t.Context(), FindOptions{Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	var tested []string
	for _, m := range shippedModules {
		tested = append(tested, m.module)
		t.Run(fmt.Sprintf("%s/%d", m.module, len(m.settings)), func(t *testing.T) {
			t.Parallel()
			cloud, mirror := schematest.New(t), t.TempDir() // its own, since it is told to fail
			if err := cloud.Mirror(mirror); err != nil {
				t.Fatal(err)
			}
			r, err := New(filepath.Join(t.TempDir(), "data"), found)
			if err != nil {
				t.Fatal(err)
			}
			r.Mirror, r.Instance = mirror, "i-1"
			if r.Env, err = Environment(os.LookupEnv, nil); err != nil {
				t.Fatal(err)
			}
			r.Env["GORACE"] = "atexit_sleep_ms=0"
			r.UserData = func(s state.Server) ([]byte, error) { return []byte("#cloud-config\n# " + s.Name + "\n"), nil }
			module, err := tfmodules.Shipped(m.module)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Install(module); err != nil {
				t.Fatal(err)
			}
			s := &station{t, r, module, cloud, m}
			s.live()
			s.fails()
			s.refuses()
		})
	}
	for _, name := range tfmodules.Names() {
		if name != "packet" && !slices.Contains(tested, name) {
			t.Errorf("module %s is not tested", name)
		}
	}
}

// station is where one module is tested.
type station struct {
	*testing.T
	*Runner
	module tfmodules.Module
	cloud  *schematest.Cloud
	shipped
}

func (s *station) workspace(servers ...string) state.Workspace {
	ws := state.Workspace{Stack: state.Stack{
		Name: "default-" + s.shipped.module, Pool: "default", Provider: s.module.Name, Module: s.module.Folder(), Resource: s.module.Resource, Settings: s.settings,
	}}
	for _, name := range servers {
		ws.Servers = append(ws.Servers, state.Server{Name: name, Stack: ws.Stack.Name})
	}
	return ws
}

// plan plans, and tells what is to change: create agent-a, import agent-b. The
// guard must pass it, and no user data be in what is kept of it.
func (s *station) plan(ws state.Workspace) (todo []string) {
	s.Helper()
	plan, err := s.Plan(s.Context(), ws)
	if err != nil {
		s.Fatal(err)
	}
	if len(plan.Drift) > 0 {
		s.Errorf("drift %+v", plan.Drift)
	}
	wanted := reconciler.Wanted{Resource: s.module.Resource, Imports: ws.Imports}
	for _, c := range plan.Changes {
		_, server, _ := strings.Cut(c.Address, `"`)
		server = strings.TrimSuffix(server, `"]`)
		if c.Address != reconciler.Address(s.module.Resource, server) {
			if c.Companion != server {
				s.Errorf("%s is a companion of %q", c.Address, c.Companion)
			}
			continue
		}
		what := strings.Join(c.Actions, ",")
		if c.ImportID != "" {
			what = "import," + what
		}
		if what != "no-op" {
			todo = append(todo, what+" "+server)
		}
		switch what {
		case "create":
			wanted.Creates = append(wanted.Creates, server)
		case "delete":
			wanted.Deletes = append(wanted.Deletes, server)
		}
	}
	if verdict, ok := reconciler.Guard(wanted, plan); !ok {
		s.Error(verdict)
	}
	for _, secret := range []string{"#cloud-config", base64.StdEncoding.EncodeToString([]byte("#cloud-config"))[:16]} {
		if strings.Contains(plan.Text+string(plan.JSON), secret) {
			s.Errorf("user data is in the plan: %s", secret)
		}
	}
	return todo
}

func (s *station) want(ws state.Workspace, want ...string) {
	s.Helper()
	if todo := s.plan(ws); !slices.Equal(todo, want) {
		s.Fatalf("the plan is to %v, want %v", todo, want)
	}
}

func (s *station) apply(ws state.Workspace) {
	s.Helper()
	if _, err := s.Apply(s.Context(), ws, 3, func(state.ApplyEvent) {}); err != nil {
		var failed *Error
		if errors.As(err, &failed) {
			s.Logf("%+v", failed.Diagnostics)
		}
		s.Fatal(err)
	}
}

// live makes three servers, finds them, loses one and adopts it again, and
// removes them.
func (s *station) live() {
	three := s.workspace("agent-a", "agent-b", "agent-c")
	s.want(three, "create agent-a", "create agent-b", "create agent-c")
	s.apply(three)
	s.want(three)

	version, devices, err := s.Read(s.Context(), three.Stack)
	if err != nil || version == nil || len(devices) != 3 {
		s.Fatalf("%d devices, %v", len(devices), err)
	}
	for name, d := range devices {
		if d.ID == "" || !strings.HasPrefix(d.Address, "198.51.100.") && (s.shipped.module != "openstack" || s.settings["floating_ip_pool"] != nil) || d.Address == "" || d.State != s.active || d.Region != s.region || d.Size == "" || !strings.HasPrefix(d.PrivateAddress, s.private) {
			s.Errorf("%s is told as %+v", name, d)
		}
	}
	s.census(devices)

	if !s.updates {
		lost := devices["agent-b"].ID
		s.forget("agent-b")
		adopt := three
		adopt.Imports = map[string]string{"agent-b": lost}
		s.want(adopt, "import,no-op agent-b")
		s.apply(adopt)
		s.want(three)
		if _, again, err := s.Read(s.Context(), three.Stack); err != nil || again["agent-b"].ID != lost || again["agent-b"].Address != devices["agent-b"].Address {
			s.Errorf("adopted as %+v, %v; it was %+v", again["agent-b"], err, devices["agent-b"])
		}
	}

	two := s.workspace("agent-a", "agent-c")
	s.want(two, "delete agent-b")
	s.apply(two)
	s.want(two)
	s.want(s.workspace(), "delete agent-a", "delete agent-c")
	s.apply(s.workspace())
	if _, none, err := s.Read(s.Context(), three.Stack); err != nil || len(none) != 0 {
		s.Errorf("in the end %+v, %v", none, err)
	}
	if s.updates {
		s.notAdopted()
	}
}

// notAdopted makes one that the state forgets. The guard must refuse the plan that
// adopts it, since it would change it.
func (s *station) notAdopted() {
	one := s.workspace("agent-x")
	s.want(one, "create agent-x")
	s.apply(one)
	_, devices, err := s.Read(s.Context(), one.Stack)
	if err != nil {
		s.Fatal(err)
	}
	s.forget("agent-x")
	adopt := one
	adopt.Imports = map[string]string{"agent-x": devices["agent-x"].ID}
	plan, err := s.Plan(s.Context(), adopt)
	if err != nil {
		s.Fatal(err)
	}
	if verdict, ok := reconciler.Guard(reconciler.Wanted{Resource: s.module.Resource, Imports: adopt.Imports}, plan); ok || !strings.Contains(verdict, "update") {
		s.Errorf("the guard passes an import that changes the server: %s", verdict)
	}
	s.want(s.workspace())
	s.apply(s.workspace())
}

// fails makes one that the provider refuses. What came before it in the module is
// not forgotten with the stack's folder, and goes with the next run.
func (s *station) fails() {
	const refusal = "422 there is none left"
	kind, _, _ := strings.Cut(s.module.Resource, ".")
	s.cloud.Fail(kind, refusal, false)
	defer s.cloud.Fail(kind, "", false)
	one := s.workspace("agent-d")
	s.want(one, "create agent-d")
	_, err := s.Apply(s.Context(), one, 3, func(state.ApplyEvent) {})
	var failed *Error
	if !errors.As(err, &failed) || !strings.Contains(failed.Error(), refusal) {
		s.Errorf("the apply ended with %v", err)
	}
	_, devices, err := s.Read(s.Context(), one.Stack)
	if err != nil || len(devices) != 0 {
		s.Errorf("%d devices, %v", len(devices), err)
	}
	dir := filepath.Join(s.Dir, "stacks", one.Stack.Name)
	if left := s.companions(dir); len(left) > 0 {
		if err := s.Remove(one.Stack.Name); err == nil || !strings.Contains(err.Error(), left[0]) {
			s.Errorf("the folder with %v is removed: %v", left, err)
		}
		if err := s.Rest(s.workspace()); err == nil || !strings.Contains(err.Error(), left[0]) {
			s.Errorf("nothing is said of %v that is left: %v", left, err)
		}
	}
	s.want(s.workspace())
	s.apply(s.workspace())
	if left := s.companions(dir); len(left) > 0 {
		s.Errorf("%v are left", left)
	}
}

// census finds the servers by the stack's tag, and by another one none.
func (s *station) census(devices map[string]state.Device) {
	stack := s.workspace().Stack
	if s.module.Census == nil {
		return
	}
	if s.module.Census.ByName() {
		found, err := s.Census(s.Context(), state.Question{Module: stack.Module, Settings: stack.Settings, Tag: "hangar", Names: []string{"agent-c", "agent-never", "agent-a"}})
		if err != nil || len(found) != 2 {
			s.Fatalf("by their names are found %+v, %v", found, err)
		}
		for _, f := range found {
			if d := devices[f.Server]; f.ID != d.ID || f.Hostname != f.Server || f.Stack != stack.Name || f.Instance != "i-1" || f.Address != d.Address || f.State != state.FoundActive {
				s.Errorf("by its name is found %+v; it is %+v", f, d)
			}
		}
		return
	}
	for tag, want := range map[string]int{"hangar": 3, "hangar-instance=i-1": 3, stack.Census(): 3, "hangar-stack=another": 0} {
		found, err := s.Census(s.Context(), state.Question{Module: stack.Module, Settings: stack.Settings, Tag: tag})
		if err != nil {
			s.Error(err)
			return
		}
		if len(found) != want {
			s.Errorf("%d are found by %s, want %d", len(found), tag, want)
		}
		for _, f := range found {
			d := devices[f.Server]
			if f.ID != d.ID || f.Hostname != f.Server || f.Stack != stack.Name || f.Instance != "i-1" || f.Address != d.Address || f.State != state.FoundActive {
				s.Errorf("by %s is found %+v; it is %+v", tag, f, d)
			}
		}
	}
}

// forget takes a server out of the state.
func (s *station) forget(server string) {
	s.Helper()
	cmd := exec.Command(s.Binary.Path, "state", "rm", "module.devices."+s.module.Resource+`["`+server+`"]`)
	cmd.Dir = filepath.Join(s.Dir, "stacks", s.workspace().Stack.Name)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("%v: %s", err, out)
	}
}

// refuses tells of each wrong setting by its name.
func (s *station) refuses() {
	for setting, value := range s.wrong {
		ws := s.workspace("agent-x")
		ws.Stack.Settings = map[string]any{}
		for name, v := range s.settings {
			ws.Stack.Settings[name] = v
		}
		ws.Stack.Settings[setting] = value
		_, err := s.Plan(s.Context(), ws)
		var failed *Error
		if !errors.As(err, &failed) {
			s.Errorf("%s = %v is planned: %v", setting, value, err)
			continue
		}
		if text := failed.Error(); !strings.Contains(text, setting+" must") {
			s.Errorf("%s = %v: %s", setting, value, text)
		}
	}
}
