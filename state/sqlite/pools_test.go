package sqlite

import (
	"testing"

	"hangar/state"
)

func TestModuleEnvIsRemembered(t *testing.T) {
	s := newStore(t)
	_, err := s.ModuleEnv(t.Context(), map[string][]string{"mine": {"A", "B"}, "packet": nil})
	must(t, err)
	all, err := s.ModuleEnv(t.Context(), map[string][]string{"mine": {"B", "C"}, "hall": {"D"}})
	must(t, err)
	wantEqual(t, "variables", all, map[string][]string{"mine": {"A", "B", "C"}, "hall": {"D"}})
}

func TestSpecify(t *testing.T) {
	s := newStore(t)
	settings := map[string]any{"plan": "small", "keys": []any{"a"}}
	var stacks []state.Stack
	var servers []state.Server
	for _, x := range []struct {
		server, candidate, module string
		settings                  map[string]any
		spec                      string
	}{
		{"same", "ewr1", "packet-1", settings, ""},
		{"known", "ewr1", "packet-1", settings, "old"},
		{"other-plan", "ewr1", "packet-1", map[string]any{"plan": "large"}, ""},
		{"other-module", "ewr1", "packet-2", settings, ""},
		{"other-place", "sjc1", "packet-1", settings, ""},
	} {
		stacks = append(stacks, state.Stack{Name: "s-" + x.server, Pool: "default", Provider: "packet", Candidate: x.candidate, Module: x.module, Settings: x.settings})
		servers = append(servers, state.Server{Name: x.server, Pool: "default", Stack: "s-" + x.server, Provider: "packet", Capacity: 1, Spec: x.spec})
	}
	must(t, s.Commit(t.Context(), state.Changes{At: start, Stacks: stacks, Servers: servers}))
	must(t, s.Specify(t.Context(), []state.Pool{{Name: "default", Candidates: []state.Candidate{
		{Name: "ewr1", Module: "packet-1", Settings: settings, Spec: "new", Price: 2},
	}}}))
	for name, want := range map[string]string{"same": "new", "known": "old", "other-plan": "", "other-module": "", "other-place": ""} {
		if got := serverNow(t, s, name); got.Spec != want || (got.Price == 2) != (want == "new") {
			t.Errorf("%s: %q, %v", name, got.Spec, got.Price)
		}
	}
}
