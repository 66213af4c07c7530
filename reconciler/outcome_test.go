package reconciler

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

func TestOutcome(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	run := state.Run{ID: 7, Creates: []string{"new-a", "new-b"}, Deletes: []string{"old"}, Keeps: []string{"kept"}}
	failure := errors.New("terraform failed")
	says := func(server, summary string) []state.Diagnostic {
		return []state.Diagnostic{{Severity: "error", Summary: summary, Address: Address("x.server", server)}}
	}
	const (
		running = "running"
		lost    = "in doubt until the settle time is over"
		seen    = "in doubt until the first look"
		left    = "as it was"
	)
	for _, tt := range []struct {
		name    string
		there   string // servers in the state
		apply   error
		read    error
		says    []state.Diagnostic
		phase   state.RunPhase
		want    map[string]string
		unclean string
		applied bool
	}{
		{"as wanted", "new-a new-b kept", nil, nil, nil, state.RunApplied,
			map[string]string{"new-a": running, "new-b": running, "old": seen}, "", true},
		{"an error, but the state is as wanted", "new-a new-b kept", failure, nil, nil, state.RunErrored,
			map[string]string{"new-a": running, "new-b": running, "old": seen}, "", true},
		{"one create failed half-way", "new-a new-b! kept", failure, nil, nil, state.RunErrored,
			map[string]string{"new-a": running, "new-b": "error", "old": seen}, "new-b", true},
		{"one create forgotten", "new-a kept", failure, nil, says("new-b", "Plugin did not respond"), state.RunErrored,
			map[string]string{"new-a": running, "new-b": lost, "old": seen}, "new-b", true},
		{"terraform calls a lost create a success", "new-a kept", nil, nil, nil, state.RunErrored,
			map[string]string{"new-a": running, "new-b": lost, "old": seen}, "new-b", true},
		{"one refused", "new-a kept", failure, nil, says("new-b", "422 Unprocessable Entity The facility [ewr1] has no provisionable servers"), state.RunErrored,
			map[string]string{"new-a": running, "new-b": "error refused " + seen, "old": seen}, "new-b", true},
		{"one refused, or its device asked for in vain", "new-a kept", failure, nil, says("new-b", "403 Forbidden"), state.RunErrored,
			map[string]string{"new-a": running, "new-b": "error refused " + seen, "old": seen}, "new-b", true},
		{"one rate limited", "new-a kept", failure, nil, says("new-b", "429 Too Many Requests"), state.RunErrored,
			map[string]string{"new-a": running, "new-b": lost, "old": seen}, "new-b", true},
		{"the other one refused", "new-a kept", failure, nil, says("new-a", "422 Unprocessable Entity"), state.RunErrored,
			map[string]string{"new-a": running, "new-b": lost, "old": seen}, "new-b", true},
		{"not destroyed", "new-a new-b old kept", failure, nil, nil, state.RunErrored,
			map[string]string{"new-a": running, "new-b": running, "old": left}, "old", false},
		{"a kept server is lost", "new-a new-b", nil, nil, nil, state.RunErrored,
			map[string]string{"new-a": running, "new-b": running, "old": seen, "kept": lost}, "kept", true},
		{"interrupted when all was done", "new-a new-b kept", errInterrupted, nil, nil, state.RunInterrupted,
			map[string]string{"new-a": running, "new-b": running, "old": seen}, "hangar ended", true},
		{"interrupted before one was made", "new-a kept", errInterrupted, nil, nil, state.RunInterrupted,
			map[string]string{"new-a": running, "new-b": lost, "old": seen}, "new-b", true},
		{"state unreadable", "", nil, errors.New("torn"), nil, state.RunErrored,
			map[string]string{"new-a": lost, "new-b": lost, "old": left}, "could not be read", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			devices := map[string]state.Device{}
			for _, s := range strings.Fields(tt.there) {
				name, tainted := strings.CutSuffix(s, "!")
				devices[name] = state.Device{ID: "1", State: "active"}
				if tainted {
					devices[name] = state.Device{ID: "1", State: "tainted"}
				}
			}
			f := end{run: run, resource: "x.server", settle: time.Minute, ready: state.Running, at: at, devices: devices, applyErr: tt.apply, readErr: tt.read, diagnostics: tt.says}.outcome()
			got := map[string]string{}
			for _, o := range f.Servers {
				words := []string{}
				if o.Phase != "" {
					words = append(words, string(o.Phase))
				}
				if o.Absent != "" {
					words = append(words, string(o.Absent))
				}
				switch {
				case o.Doubt.Equal(at):
					words = append(words, seen)
				case o.Doubt.Equal(at.Add(time.Minute)):
					words = append(words, lost)
				}
				if len(words) == 0 {
					words = append(words, left)
				}
				got[o.Server] = strings.Join(words, " ")
			}
			for server, want := range tt.want {
				if got[server] != want {
					t.Errorf("%s is %s, want %s", server, got[server], want)
				}
			}
			if (f.Error == "") != (tt.unclean == "" && tt.apply == nil) || strings.Contains(f.Error, "nil") {
				t.Errorf("the run's error is %q", f.Error)
			}
			if f.Phase != tt.phase || f.Applied != tt.applied || (f.Outputs == nil) != (tt.read != nil) {
				t.Errorf("phase %s, applied %t, outputs %v", f.Phase, f.Applied, f.Outputs)
			}
			if !strings.Contains(f.Unclean, tt.unclean) || (tt.unclean == "" && f.Unclean != "") {
				t.Errorf("unclean %q, want %q", f.Unclean, tt.unclean)
			}
			if !f.LookAt.Equal(at) || !f.LookUntil.Equal(at.Add(time.Minute)) {
				t.Errorf("looked for at %s until %s", f.LookAt, f.LookUntil)
			}
		})
	}
}

// Nobody saw the end of an adoption that was interrupted: even where the state
// shows that it succeeded, the stack is unclean, and only a look ends that.
func TestInterruptedAdoptionIsLookedAt(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	f := end{
		run: state.Run{ID: 7, Imports: map[string]string{"found": "1"}}, settle: time.Minute, at: at,
		devices: map[string]state.Device{"found": {ID: "1"}}, applyErr: errInterrupted,
	}.outcome()
	if f.Phase != state.RunInterrupted || f.Unclean == "" || f.Applied || !f.LookAt.Equal(at) || !f.LookUntil.Equal(at) {
		t.Errorf("%+v", f)
	}
}
