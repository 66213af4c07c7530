package terraform

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// play writes a recorded stream in pieces that end anywhere, and returns what
// came of it.
func play(t *testing.T, text string, piece int) (state.ApplyResult, []state.ApplyEvent) {
	t.Helper()
	r := Runner{Secrets: []string{"hush-hush"}}
	s := newStream("module.devices.equinix_metal_device.server", r.mask())
	events := make(chan []state.ApplyEvent)
	go func() {
		var all []state.ApplyEvent
		for e := range s.events {
			all = append(all, e)
		}
		events <- all
	}()
	for piece := range slices.Chunk([]byte(text), piece) {
		if n, err := s.Write(piece); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	result := s.close("on stderr: hush-hush\n")
	return result, <-events
}

func recorded(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestStreamEvents(t *testing.T) {
	for _, piece := range []int{1, 100, 1 << 20} {
		_, events := play(t, recorded(t, "apply-create.ndjson"), piece)
		if len(events) != 9 {
			t.Fatalf("%d events, want 9: %+v", len(events), events)
		}
		want := state.ApplyEvent{Server: "agent-aaaaaaaa", Action: "create", Elapsed: 11 * time.Second, Done: true, ID: "dc8d9dbe-8c58-86e6-3077-0125dc59fe5a"}
		if !slices.Contains(events, want) {
			t.Errorf("%+v is not in %+v", want, events)
		}
		if want := (state.ApplyEvent{Server: "agent-cccccccc", Action: "create", Elapsed: 10 * time.Second}); !slices.Contains(events, want) {
			t.Errorf("%+v is not in %+v", want, events)
		}
	}
	_, events := play(t, recorded(t, "apply-destroy-one.ndjson"), 100)
	if want := (state.ApplyEvent{Server: "agent-bbbbbbbb", Action: "delete", Done: true}); !slices.Contains(events, want) {
		t.Errorf("%+v is not in %+v", want, events)
	}
	_, events = play(t, recorded(t, "apply-device-failed.ndjson"), 100)
	failed := map[string]bool{}
	for _, e := range events {
		if e.Failed {
			failed[e.Server] = true
		}
	}
	if want := map[string]bool{"agent-aaaaaaaa": true, "agent-bbbbbbbb": true, "agent-cccccccc": true}; !maps.Equal(failed, want) {
		t.Errorf("failed %v, want %v", failed, want)
	}
}

func TestStreamDiagnostics(t *testing.T) {
	result, _ := play(t, recorded(t, "apply-no-capacity.ndjson"), 1000)
	var errs, warnings []string
	for _, d := range result.Diagnostics {
		if d.Severity == "error" {
			errs = append(errs, d.Address+" "+d.Summary)
		} else {
			warnings = append(warnings, d.Summary+d.Detail)
		}
	}
	want := []string{`module.devices.equinix_metal_device.server["agent-cccccccc"] 422 Unprocessable Entity The facility [ewr1] has no provisionable c3.small.x86 servers matching your criteria.`}
	if !slices.Equal(errs, want) {
		t.Errorf("errors %q, want %q", errs, want)
	}
	slices.Sort(warnings)
	if len(warnings) != 3 || len(slices.Compact(warnings)) != 3 {
		t.Errorf("warnings, each once: %q", warnings)
	}
	for _, want := range []string{"Creation complete after", "Error: 422 Unprocessable Entity", "\n  with module.devices.equinix", "on stderr: (sensitive value)\n"} {
		if !strings.Contains(result.Log, want) {
			t.Errorf("%q is not in the log:\n%s", want, result.Log)
		}
	}
	if strings.Contains(result.Log, "Still creating") {
		t.Error("the log holds the progress too")
	}
}

func TestStreamKeepsWhatIsNoMessage(t *testing.T) {
	result, _ := play(t, recorded(t, "apply-provider-crash.ndjson")+"panic: of terraform itself, hush-hush", 1000)
	for _, want := range []string{"Plugin did not respond", "panic: of terraform itself, (sensitive value)"} {
		if !strings.Contains(result.Log, want) {
			t.Errorf("%q is not in the log:\n%s", want, result.Log)
		}
	}
}

// What a provider repeats from its API steers no terminal.
func TestStreamSteersNoTerminal(t *testing.T) {
	result, _ := play(t, `{"@level":"error","@message":"Error: \u001b]0;mine\u0007no\u001b[2J","type":"diagnostic","diagnostic":{"severity":"error","summary":"\u001b]0;mine\u0007no\u001b[2J","detail":"a\u009b31m\n\tb"}}`+"\n", 7)
	if len(result.Diagnostics) != 1 || strings.ContainsAny(result.Log+result.Diagnostics[0].Summary, "\x1b\x07\u009b") || result.Diagnostics[0].Detail != "a31m\n\tb" {
		t.Errorf("%q, log %q", result.Diagnostics, result.Log)
	}
}
