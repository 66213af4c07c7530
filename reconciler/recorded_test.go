package reconciler

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// said reads the diagnostics of an apply of the real terraform and provider.
func said(t *testing.T, name string) (diagnostics []state.Diagnostic) {
	t.Helper()
	file, err := os.Open("testdata/" + name + ".ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m struct{ Diagnostic *state.Diagnostic }
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		if m.Diagnostic != nil {
			diagnostics = append(diagnostics, *m.Diagnostic)
		}
	}
	if err := lines.Err(); err != nil || len(diagnostics) == 0 {
		t.Fatalf("%d diagnostics, %v", len(diagnostics), err)
	}
	return diagnostics
}

// leftState reads the devices of the state that was left; none without a file.
func leftState(t *testing.T, name string) map[string]state.Device {
	t.Helper()
	devices := map[string]state.Device{}
	content, err := os.ReadFile("testdata/" + name + ".tfstate")
	if errors.Is(err, os.ErrNotExist) {
		return devices
	}
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Resources []struct {
			Instances []struct {
				Key        string `json:"index_key"`
				Attributes struct{ ID, State string }
			}
		}
	}
	if err := json.Unmarshal(content, &s); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Resources {
		for _, i := range r.Instances {
			devices[i.Key] = state.Device{ID: i.Attributes.ID, State: i.Attributes.State}
		}
	}
	return devices
}

// What the real provider was recorded to do, from the end of the run to the end
// of the settle time: which devices there were is what was measured with it.
func TestRecoveryOfRecordedApplies(t *testing.T) {
	servers := []string{"agent-aaaaaaaa", "agent-bbbbbbbb", "agent-cccccccc"}
	at := time.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC)
	device := func(id, server string, s state.FoundState) state.Found {
		return state.Found{ID: id, Server: server, Stack: "s1", Instance: "i-1", State: s}
	}
	for _, tt := range []struct {
		name   string
		state  string
		failed bool
		there  []state.Found // at the provider, besides what is in the state
		begun  time.Duration // of the look, after the end of the run
		want   map[string]string
		double int
	}{
		{"apply-interrupted", "", true, []state.Found{device("1", servers[0], state.FoundActive), device("2", servers[1], state.FoundBooting)}, time.Second,
			map[string]string{servers[0]: "running 1", servers[1]: "created 2", servers[2]: "creating in doubt"}, 0},
		{"apply-interrupted", "", true, nil, time.Minute,
			map[string]string{servers[0]: "error lost", servers[1]: "error lost", servers[2]: "error lost"}, 0},
		{"apply-device-failed", "", true, []state.Found{device("1", servers[0], state.FoundFailed), device("2", servers[1], state.FoundFailed), device("3", servers[2], state.FoundFailed)}, time.Second,
			map[string]string{servers[0]: "error 1", servers[1]: "error 2", servers[2]: "error 3"}, 0},
		{"apply-provider-crash", "", true, nil, time.Second,
			map[string]string{servers[0]: "creating in doubt", servers[1]: "creating in doubt", servers[2]: "creating in doubt"}, 0},
		{"apply-no-capacity", "state-after-no-capacity", true, nil, time.Second,
			map[string]string{servers[0]: "running", servers[1]: "running", servers[2]: "error refused"}, 0},
		{"apply-bad-token", "", true, nil, time.Second,
			map[string]string{servers[0]: "error refused", servers[1]: "error refused", servers[2]: "error refused"}, 0},
		{"apply-doubled-after-502", "state-after-doubled-after-502", false, []state.Found{device("d1", servers[0], state.FoundActive), device("d2", servers[0], state.FoundActive),
			device("d3", servers[1], state.FoundActive), device("d4", servers[2], state.FoundBooting)}, time.Second,
			map[string]string{servers[0]: "running", servers[1]: "running", servers[2]: "running"}, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := end{
				run: state.Run{ID: 1, Stack: "s1", Creates: servers}, resource: resource, settle: time.Minute, ready: state.Running, at: at,
				devices: leftState(t, tt.state), diagnostics: said(t, tt.name),
			}
			if tt.failed {
				e.applyErr = errors.New("exit status 1")
			}
			f := e.outcome()
			sc := scene{
				sight:   state.Sight{Stack: state.Stack{Name: "s1", Pool: "default", LookUntil: f.LookUntil}, Run: e.run},
				inState: e.devices, instance: "i-1", settle: time.Minute, ready: state.Running, began: at.Add(tt.begun), found: slices.Clone(tt.there), owners: map[string]string{},
			}
			for _, o := range f.Servers {
				s := state.Server{Name: o.Server, Phase: state.Creating, Stack: "s1", Absent: o.Absent, Doubt: o.Doubt}
				if tt.begun >= time.Minute { // not the first look that does not show it
					s.Unseen = at
				}
				if o.Phase != "" {
					s.Phase = o.Phase
				}
				if o.Device != nil {
					s.Device = *o.Device
					sc.owners[s.ID] = s.Name
					sc.found = append(sc.found, device(s.ID, s.Name, state.FoundActive))
				}
				sc.sight.Servers = append(sc.sight.Servers, s)
			}
			j := sc.judge()
			got := map[string]string{}
			for _, s := range sc.sight.Servers {
				got[s.Name] = words(s.Phase, "", s.Absent, s.Doubt)
			}
			for _, s := range j.sightings {
				got[s.Seen.Name] = words(s.To, s.Device.ID, s.Absent, s.Doubt)
			}
			for server, want := range tt.want {
				if got[server] != want {
					t.Errorf("%s is %s, want %s", server, got[server], want)
				}
			}
			if len(j.doubles) != tt.double || len(j.strays) != 0 {
				t.Errorf("doubles %+v, strays %+v", j.doubles, j.strays)
			}
		})
	}
}

func words(phase state.Phase, id string, absent state.Absence, doubt time.Time) string {
	list := []string{string(phase)}
	if id != "" {
		list = append(list, id)
	}
	if absent != "" {
		list = append(list, string(absent))
	}
	if !doubt.IsZero() {
		list = append(list, "in doubt")
	}
	return strings.Join(list, " ")
}
