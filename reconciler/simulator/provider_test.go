package simulator

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	first  = "agent-aaaaaaaa"
	second = "agent-bbbbbbbb"
	third  = "agent-cccccccc"
)

var threeNames = map[string]any{"names": []string{first, second, third}}

func TestProviderHasTheRealSchema(t *testing.T) {
	ws := newWorkspace(t, runWorld(t, Config{}), "fleet", threeNames)
	var got, want any
	if err := json.Unmarshal([]byte(ws.must("providers", "schema", "-json")), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(equinixSchemas, &want); err != nil {
		t.Fatal(err)
	}
	dropDescriptions(got)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("schema differs from the recorded one:\n%v\nwant\n%v", got, want)
	}
}

// dropDescriptions removes what the recorded schema was cut down by.
func dropDescriptions(v any) {
	switch n := v.(type) {
	case map[string]any:
		delete(n, "description_kind")
		for name, field := range n {
			if empty, ok := field.(map[string]any); ok && len(empty) == 0 {
				delete(n, name)
			}
			dropDescriptions(field)
		}
	case []any:
		for _, element := range n {
			dropDescriptions(element)
		}
	}
}

func TestProviderLife(t *testing.T) {
	w := runWorld(t, Config{BootTime: 50 * time.Millisecond})
	ws := newWorkspace(t, w, "fleet", threeNames)

	sameChanges(t, ws.plan(), "plan-create.json")
	ws.must("apply", "plan.tfplan")
	for _, d := range w.Devices() {
		if d.State != stateActive || d.Facility != "ewr1" || d.Plan != "c3.small.x86" || d.OS != "ubuntu_24_04" ||
			d.UserData != "#cloud-config\n# DRONE_RPC_SECRET=correct-horse\n" || d.Tags[3] != "hangar-server="+d.Hostname {
			t.Errorf("device %+v", d)
		}
	}
	sameChanges(t, ws.plan(), "plan-noop.json")
	ws.mustSay("No changes.", "plan", "-refresh=false")

	ws.set(map[string]any{"names": []string{first, third}})
	sameChanges(t, ws.plan("-refresh=false"), "plan-destroy-one.json")
	ws.must("apply", "plan.tfplan")
	if got := w.Stats(); got.Created != 3 || got.Destroyed != 1 || len(w.Devices()) != 2 {
		t.Errorf("after destroying one: %+v", got)
	}
	ws.mustSay("No changes.", "plan")
}

func TestProviderImport(t *testing.T) {
	w := runWorld(t, Config{BootTime: 50 * time.Millisecond})
	one := map[string]any{"names": []string{third}}
	newWorkspace(t, w, "fleet", one).must("apply", "-auto-approve")
	id := w.Devices()[0].ID

	ws := newWorkspace(t, w, "fleet", one)
	imports := filepath.Join(ws.dir, "import.tf")
	write(t, imports, `import {
  to = module.devices.equinix_metal_device.server["`+third+`"]
  id = "`+id+`"
}
`)
	sameChanges(t, ws.plan("-refresh=false"), "plan-import.json")
	ws.mustSay("Resources: 1 imported, 0 added, 0 changed, 0 destroyed.", "apply", "plan.tfplan")
	if err := os.Remove(imports); err != nil {
		t.Fatal(err)
	}
	ws.mustSay("No changes.", "plan", "-refresh=false")
	ws.mustSay("No changes.", "plan")
	if got := w.Stats().Created; got != 1 {
		t.Errorf("%d devices created, want 1", got)
	}
}

func TestProviderReplaceAndUpdate(t *testing.T) {
	w := runWorld(t, Config{BootTime: 50 * time.Millisecond})
	ws := newWorkspace(t, w, "fleet", map[string]any{"names": []string{first}})
	module := filepath.Join(ws.dir, "devices", "main.tf")
	source, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	attentive := strings.Replace(string(source), "ignore_changes = all", "", 1)
	write(t, module, attentive)
	ws.must("apply", "-auto-approve")
	id := w.Devices()[0].ID
	ws.mustSay("No changes.", "plan")

	write(t, module, strings.Replace(attentive, `"hangar", `, `"mine", `, 1))
	ws.mustSay("0 added, 1 changed, 0 destroyed", "apply", "-auto-approve")
	if d := w.Devices()[0]; d.ID != id || d.Tags[0] != "mine" {
		t.Errorf("after an update in place: %+v", d)
	}
	ws.mustSay("No changes.", "plan")

	write(t, module, attentive)
	ws.must("apply", "-auto-approve")
	ws.set(map[string]any{"names": []string{first}, "facility": "sjc1"})
	sameChanges(t, ws.plan(), "plan-replace.json")
}

func TestProviderForgets(t *testing.T) {
	tests := []struct {
		name   string
		faults Faults
		create string // timeout
		boot   time.Duration
		text   string
		alive  int
	}{
		{"a device that fails", Faults{DeviceFails: 1}, "30m", 50 * time.Millisecond, `device in non-active state "failed"`, 1},
		{"a device that takes too long", Faults{}, "31s", time.Hour, "timeout while waiting for state to become 'active, failed'", 1},
		{"nothing, without capacity", Faults{NoCapacity: []string{"ewr1"}}, "30m", time.Second,
			"422 Unprocessable Entity The facility ewr1 has no provisionable c3.small.x86 servers matching your criteria.", 0},
		{"nothing, when denied", Faults{Denied: true}, "30m", time.Second, "403 Forbidden", 0},
		{"nothing, when it crashes", Faults{ServerError: 1}, "30m", time.Second, "plugin crashed!", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := runWorld(t, Config{BootTime: test.boot})
			ws := newWorkspace(t, w, "fleet", map[string]any{"names": []string{first}, "create": test.create})
			w.SetFaults(test.faults)
			ws.mustFail(test.text, "apply", "-auto-approve")
			if left := ws.resources(); len(left) != 0 {
				t.Errorf("state holds %v", left)
			}
			if got := w.Stats().Alive; got != test.alive {
				t.Errorf("%d devices alive, want %d", got, test.alive)
			}
		})
	}
}

func TestProviderForgetsWhenInterrupted(t *testing.T) {
	w := runWorld(t, Config{BootTime: time.Hour})
	ws := newWorkspace(t, w, "fleet", threeNames)
	cmd, output := ws.command("apply", "-auto-approve")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := map[string]bool{} // the devices that the provider waits for
	for len(waited) < 3 {
		select {
		case id := <-ws.looks:
			waited[id] = true
		case <-time.After(time.Minute):
			t.Fatalf("provider waits for %v only", waited)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(output.String(), "context canceled") {
		t.Fatalf("interrupted apply: %v\n%s", err, output)
	}
	if left := ws.resources(); len(left) != 0 || w.Stats().Alive != 3 {
		t.Errorf("state holds %v, %d devices alive", left, w.Stats().Alive)
	}
}

func TestProviderDoublesAfterBadGateway(t *testing.T) {
	w := runWorld(t, Config{BootTime: 50 * time.Millisecond})
	ws := newWorkspace(t, w, "fleet", map[string]any{"names": []string{first}})
	w.SetFaults(Faults{BadGateway: 0.5, Seed: 3})
	ws.must("apply", "-auto-approve")
	if got := len(w.Devices()); got < 2 {
		t.Errorf("%d devices, want several", got)
	}
	if got := ws.resources(); len(got) != 1 {
		t.Errorf("state holds %v", got)
	}
	ws.mustSay("No changes.", "plan")
}

func TestProviderSwallows403(t *testing.T) {
	w := runWorld(t, Config{BootTime: 50 * time.Millisecond})
	ws := newWorkspace(t, w, "fleet", map[string]any{"names": []string{first, third}})
	ws.must("apply", "-auto-approve")

	w.SetFaults(Faults{Denied: true})
	sameChanges(t, ws.plan(), "plan-denied-with-refresh.json")
	w.SetFaults(Faults{DeleteDenied: 1})
	ws.set(map[string]any{"names": []string{first}})
	ws.mustSay("Destruction complete", "apply", "-auto-approve", "-refresh=false")
	if got, alive := ws.resources(), w.Stats().Alive; len(got) != 1 || alive != 2 {
		t.Errorf("state holds %v, %d devices alive", got, alive)
	}
}

func TestProviderCannotDestroyBooting(t *testing.T) {
	w := runWorld(t, Config{BootTime: time.Hour})
	one := map[string]any{"names": []string{first}, "create": "31s"}
	newWorkspace(t, w, "fleet", one).mustFail("timeout", "apply", "-auto-approve")
	ws := newWorkspace(t, w, "fleet", one)
	ws.must("import", `module.devices.equinix_metal_device.server["`+first+`"]`, w.Devices()[0].ID)
	ws.mustFail("422 Unprocessable Entity Cannot delete a device while it is provisioning", "destroy", "-auto-approve")
	if got := ws.resources(); len(got) != 1 {
		t.Errorf("state holds %v", got)
	}
}

func TestProviderRefusesBadToken(t *testing.T) {
	w := runWorld(t, Config{})
	ws := newWorkspace(t, w, "fleet", map[string]any{"names": []string{first}})
	ws.env = append(ws.env, "METAL_AUTH_TOKEN=wrong")
	ws.mustFail("401 Unauthorized Invalid authentication token", "apply", "-auto-approve")
}

func TestProviderWantsOnePlace(t *testing.T) {
	w := runWorld(t, Config{BootTime: 50 * time.Millisecond})
	ws := newWorkspace(t, w, "fleet", map[string]any{"names": []string{first}})
	module := filepath.Join(ws.dir, "devices", "main.tf")
	source, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	const facilities = "facilities       = [var.facility]"
	write(t, module, strings.Replace(string(source), facilities, facilities+"\n  metro = \"ny\"", 1))
	ws.mustFail(`"metro": conflicts with facilities`, "plan")
	write(t, module, strings.Replace(string(source), facilities, "", 1))
	ws.mustFail("one of facilies and metro must be configured", "apply", "-auto-approve")
	attentive := strings.Replace(string(source), "ignore_changes = all", "", 1)
	write(t, module, strings.Replace(attentive, facilities, `metro = "NY"`, 1))
	ws.must("apply", "-auto-approve")
	ws.mustSay("No changes.", "plan")
	if d := w.Devices()[0]; d.Metro != "ny" {
		t.Errorf("device %+v", d)
	}
}

func TestProviderCensus(t *testing.T) {
	w := runWorld(t, Config{BootTime: 50 * time.Millisecond})
	names := []string{}
	for c := 'a'; c <= 'l'; c++ { // more than one page of ten
		names = append(names, "agent-"+strings.Repeat(string(c), 8))
	}
	newWorkspace(t, w, "fleet", map[string]any{"names": names}).must("apply", "-auto-approve", "-parallelism=20")
	tests := []struct {
		name      string
		variables map[string]any
		want      int
	}{
		{"a tag of all", map[string]any{"tag": "hangar-instance=i-1"}, 12},
		{"a tag of one", map[string]any{"tag": "hangar-server=" + first}, 1},
		{"a tag of none", map[string]any{"tag": "hangar-instance=i-2"}, 0},
		{"a search at the API", map[string]any{"tag": "hangar", "search": second}, 1},
	}
	ws := newWorkspace(t, w, "census", map[string]any{"tag": "hangar"})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ws.set(test.variables)
			ws.must("apply", "-auto-approve")
			var found []struct{ Hostname, ID, State, Address string }
			if err := json.Unmarshal([]byte(ws.must("output", "-json", "found")), &found); err != nil {
				t.Fatal(err)
			}
			if len(found) != test.want {
				t.Fatalf("found %d devices, want %d", len(found), test.want)
			}
			for _, d := range found {
				if d.ID == "" || d.State != stateActive || d.Address == "" {
					t.Errorf("found %+v", d)
				}
			}
		})
	}
	w.SetFaults(Faults{Denied: true})
	ws.mustFail("plugin crashed!", "plan")
}
