package reconciler

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hangar/state"
)

const resource = "equinix_metal_device.server"

// recorded reads what a real terraform planned with the real provider.
func recorded(t *testing.T, name string) state.Plan {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	type change struct {
		Address string
		Change  struct {
			Actions   []string
			Importing *struct{ ID string }
		}
	}
	var file struct {
		Changes []change `json:"resource_changes"`
		Drift   []change `json:"resource_drift"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	read := func(from []change) (to []state.Change) {
		for _, c := range from {
			s := state.Change{Address: c.Address, Actions: c.Change.Actions}
			if c.Change.Importing != nil {
				s.ImportID = c.Change.Importing.ID
			}
			to = append(to, s)
		}
		return to
	}
	return state.Plan{Changes: read(file.Changes), Drift: read(file.Drift)}
}

func TestGuardOnRecordedPlans(t *testing.T) {
	a, b, c := "agent-aaaaaaaa", "agent-bbbbbbbb", "agent-cccccccc"
	device := "fe656e0f-bad9-1868-8033-d7e2fac8822a"
	for _, tt := range []struct {
		plan   string
		wanted Wanted
		want   bool
		says   string
	}{
		{"plan-create", Wanted{Creates: []string{a, b, c}}, true, "3 to create"},
		{"plan-create", Wanted{Creates: []string{a, b}}, false, c + `"] would be created`},
		{"plan-create", Wanted{Creates: []string{a, b, c, "agent-d"}}, false, `agent-d"] is to be created, but the plan does not`},
		{"plan-create", Wanted{}, false, "would be created"},
		{"plan-destroy-one", Wanted{Deletes: []string{b}}, true, "1 to destroy"},
		{"plan-destroy-one", Wanted{}, false, "would be destroyed"},
		{"plan-destroy-one", Wanted{Deletes: []string{a}}, false, "would be destroyed"},
		{"plan-noop", Wanted{}, true, "0 to create"},
		{"plan-noop", Wanted{Deletes: []string{a}}, false, "is to be destroyed, but the plan does not"},
		{"plan-import", Wanted{Imports: map[string]string{c: device}}, true, "1 to import"},
		{"plan-import", Wanted{Imports: map[string]string{c: "another"}}, false, "would be imported from " + device},
		{"plan-import", Wanted{}, false, "which is not wanted"},
		{"plan-noop-after-import", Wanted{}, true, ""},
		{"plan-replace", Wanted{Creates: []string{a, b, c}, Deletes: []string{a, b, c}}, false, "never changed in place or replaced"},
		{"plan-gone-with-refresh", Wanted{Creates: []string{a, b, c}}, false, "has drifted"},
		{"plan-denied-with-refresh", Wanted{Creates: []string{a, c}}, false, "has drifted"},
		{"plan-denied-without-refresh", Wanted{}, true, ""},
		{"plan-denied-without-refresh", Wanted{Creates: []string{a}}, false, "but the plan does not"},
	} {
		t.Run(tt.plan+"/"+tt.says, func(t *testing.T) {
			tt.wanted.Resource = resource
			verdict, ok := Guard(tt.wanted, recorded(t, tt.plan))
			if ok != tt.want || !strings.Contains(verdict, tt.says) {
				t.Errorf("Guard = %t, %q; want %t and a verdict with %q", ok, verdict, tt.want, tt.says)
			}
		})
	}
}

// A plan passes only if it is exactly what is wanted: whatever is added to it,
// taken from it or changed in it refuses it.
func TestGuardPassesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		servers := rapid.SliceOfNDistinct(rapid.StringMatching(`agent-[a-z]{8}`), 1, 8, rapid.ID[string]).Draw(t, "servers")
		companions := rapid.Bool().Draw(t, "companions")
		w := Wanted{Resource: resource, Imports: map[string]string{}}
		var p state.Plan
		for _, s := range servers {
			change := state.Change{Address: Address(resource, s)}
			switch rapid.SampledFrom([]string{"create", "delete", "import", "keep"}).Draw(t, s) {
			case "create":
				w.Creates, change.Actions = append(w.Creates, s), []string{"create"}
			case "delete":
				w.Deletes, change.Actions = append(w.Deletes, s), []string{"delete"}
			case "import":
				w.Imports[s], change.Actions, change.ImportID = "id-"+s, []string{"no-op"}, "id-"+s
			case "keep":
				change.Actions = []string{"no-op"}
			}
			p.Changes = append(p.Changes, change)
			if companions { // an import makes its companion anew
				kind := change.Actions[0]
				if change.ImportID != "" {
					kind = "create"
				}
				p.Changes = append(p.Changes, state.Change{Address: Address("user_data.agent", s), Actions: []string{kind}, Companion: s})
			}
		}
		if companions { // of a server that was never made
			p.Changes = append(p.Changes, state.Change{Address: Address("user_data.agent", "agent-never"), Actions: []string{"delete"}, Companion: "agent-never"})
		}
		if verdict, ok := Guard(w, p); !ok {
			t.Fatalf("the wanted plan was refused: %s", verdict)
		}
		indices := []int{}
		for at, c := range p.Changes {
			if strings.Contains(c.Address, resource) {
				indices = append(indices, at)
			}
		}
		i := rapid.SampledFrom(indices).Draw(t, "which")
		bad := p
		bad.Changes = slices.Clone(p.Changes)
		kept := p.Changes[i].ImportID == "" && p.Changes[i].Actions[0] == "no-op"
		harms := []string{"replace", "update", "forget", "elsewhere", "strange", "drift", "import", "reverse"}
		if !kept { // which need not be in the plan
			harms = append(harms, "drop")
		}
		if companions {
			harms = append(harms, "strange companion", "changed companion")
			if p.Changes[i].Actions[0] != "delete" {
				harms = append(harms, "lost companion")
			}
		}
		switch rapid.SampledFrom(harms).Draw(t, "harm") {
		case "drop":
			bad.Changes = slices.Delete(bad.Changes, i, i+1)
		case "replace":
			bad.Changes[i].Actions = []string{"delete", "create"}
		case "update":
			bad.Changes[i].Actions = []string{"update"}
		case "forget":
			bad.Changes[i].Actions = []string{"forget"}
		case "strange": // it looks like a companion, and no module says that it is one
			bad.Changes = append(bad.Changes, state.Change{Address: Address("user_data.other", "agent-strange"), Actions: []string{"delete"}})
		case "strange companion":
			bad.Changes = append(bad.Changes, state.Change{Address: Address("user_data.agent", "agent-strange"), Actions: []string{"create"}, Companion: "agent-strange"})
		case "changed companion":
			bad.Changes[i+1].Actions = []string{"update"}
		case "lost companion":
			bad.Changes[i+1].Actions = []string{"delete"}
		case "elsewhere":
			bad.Changes = append(bad.Changes, state.Change{Address: "module.other." + resource + `["x"]`, Actions: []string{"create"}})
		case "drift":
			bad.Drift = []state.Change{{Address: p.Changes[i].Address, Actions: []string{"delete"}}}
		case "import":
			bad.Changes[i].ImportID = "another device"
		case "reverse":
			if bad.Changes[i].Actions[0] == "delete" {
				bad.Changes[i].Actions = []string{"create"}
			} else {
				bad.Changes[i].Actions = []string{"delete"}
			}
		}
		if verdict, ok := Guard(w, bad); ok {
			t.Fatalf("a harmed plan passed: %s", verdict)
		}
	})
}
