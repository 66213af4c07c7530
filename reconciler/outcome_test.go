package reconciler

import (
	"errors"
	"strings"
	"testing"

	"hangar/state"
)

func TestOutcome(t *testing.T) {
	run := state.Run{ID: 7, Creates: []string{"new-a", "new-b"}, Deletes: []string{"old"}, Keeps: []string{"kept"}}
	device := state.Device{ID: "1", State: "active"}
	failure := errors.New("terraform failed")
	for _, tt := range []struct {
		name       string
		there      []string
		apply      error
		read       error
		phase      state.RunPhase
		want       map[string]state.Phase
		unclean    string
		wantOutput bool
	}{
		{"as wanted", []string{"new-a", "new-b", "kept"}, nil, nil, state.RunApplied,
			map[string]state.Phase{"new-a": state.Running, "new-b": state.Running, "old": state.Stopped}, "", true},
		{"an error, but the state is as wanted", []string{"new-a", "new-b", "kept"}, failure, nil, state.RunErrored,
			map[string]state.Phase{"new-a": state.Running, "new-b": state.Running, "old": state.Stopped}, "", true},
		{"one create failed half-way", []string{"new-a", "new-b tainted", "kept"}, failure, nil, state.RunErrored,
			map[string]state.Phase{"new-a": state.Running, "new-b": state.Failed, "old": state.Stopped}, "new-b", true},
		{"one create forgotten", []string{"new-a", "kept"}, failure, nil, state.RunErrored,
			map[string]state.Phase{"new-a": state.Running, "new-b": state.Failed, "old": state.Stopped}, "new-b", true},
		{"terraform calls a lost create a success", []string{"new-a", "kept"}, nil, nil, state.RunErrored,
			map[string]state.Phase{"new-a": state.Running, "new-b": state.Failed, "old": state.Stopped}, "new-b", true},
		{"not destroyed", []string{"new-a", "new-b", "old", "kept"}, failure, nil, state.RunErrored,
			map[string]state.Phase{"new-a": state.Running, "new-b": state.Running, "old": state.Failed}, "old", true},
		{"a kept server is lost", []string{"new-a", "new-b"}, nil, nil, state.RunApplied,
			map[string]state.Phase{"new-a": state.Running, "new-b": state.Running, "old": state.Stopped}, "no longer shows kept", true},
		{"state unreadable", nil, nil, errors.New("torn"), state.RunErrored,
			map[string]state.Phase{"new-a": state.Failed, "new-b": state.Failed, "old": state.Failed}, "could not be read", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			devices := map[string]state.Device{}
			for _, s := range tt.there {
				name, tainted := strings.CutSuffix(s, " tainted")
				devices[name] = device
				if tainted {
					devices[name] = state.Device{ID: "1", State: "tainted"}
				}
			}
			f := outcome(run, devices, tt.apply, tt.read)
			got := map[string]state.Phase{}
			for _, o := range f.Servers {
				got[o.Server] = o.Phase
			}
			for server, phase := range tt.want {
				if got[server] != phase {
					t.Errorf("%s is %s, want %s", server, got[server], phase)
				}
			}
			if (f.Error == "") != (tt.unclean == "" && tt.apply == nil) || strings.Contains(f.Error, "nil") {
				t.Errorf("the run's error is %q", f.Error)
			}
			if f.Phase != tt.phase || f.Applied != (tt.unclean == "") || (f.Outputs != nil) != tt.wantOutput {
				t.Errorf("phase %s, applied %t, outputs %v; want %s", f.Phase, f.Applied, f.Outputs, tt.phase)
			}
			if !strings.Contains(f.Unclean, tt.unclean) || (tt.unclean == "" && f.Unclean != "") {
				t.Errorf("unclean %q, want %q", f.Unclean, tt.unclean)
			}
		})
	}
}
