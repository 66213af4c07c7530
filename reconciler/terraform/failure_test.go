package terraform

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hangar/reconciler/simulator"
	"hangar/state"
)

// noSecrets checks everything that comes out of a runner.
func noSecrets(t *testing.T, what string, v any) {
	t.Helper()
	text := fmt.Sprintf("%+v", v)
	if err, ok := v.(error); ok {
		for ; err != nil; err = errors.Unwrap(err) {
			text += fmt.Sprintf("%v %+v", err, err)
		}
	}
	quoted, _ := json.Marshal(rpcSecret)
	for _, secret := range []string{rpcSecret, strings.Trim(string(quoted), `"`), `correct \"horse`, apiKey, "#cloud-config"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s tells %q:\n%s", what, secret, text)
		}
	}
}

func TestNothingTellsSecrets(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-a", "agent-b")
	for _, faults := range []simulator.Faults{{NoCapacity: []string{"ewr1"}}, {}} {
		g.world.SetFaults(faults)
		plan, err := g.Plan(t.Context(), ws)
		if err != nil {
			t.Fatal(err)
		}
		noSecrets(t, "the plan's text", plan.Text)
		noSecrets(t, "the plan's JSON", string(plan.JSON))
		if !json.Valid(plan.JSON) || !strings.Contains(string(plan.JSON), state.Masked) {
			t.Errorf("JSON: %s", plan.JSON)
		}
		result, err := g.Apply(t.Context(), ws, 2, func(state.ApplyEvent) {})
		noSecrets(t, "the result", result)
		noSecrets(t, "the error", err)
	}
	ws.Servers = ws.Servers[1:] // the state now holds user data and passwords
	plan, err := g.Plan(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	noSecrets(t, "the plan's text", plan.Text)
	noSecrets(t, "the plan's JSON", string(plan.JSON))
	main, err := os.ReadFile(filepath.Join(g.Dir, "stacks", "s1", "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	noSecrets(t, "main.tf", string(main))
}

func TestApplyFails(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-a", "agent-b")
	g.world.SetFaults(simulator.Faults{NoCapacity: []string{"ewr1"}})
	if _, err := g.Plan(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	failed := map[string]bool{}
	result, err := g.Apply(t.Context(), ws, 2, func(e state.ApplyEvent) {
		if e.Failed {
			failed[e.Server] = true
		}
	})
	const says = "has no provisionable c3.small.x86 servers"
	if err == nil || !strings.Contains(err.Error(), "apply stack s1: ") || strings.Count(err.Error(), says) != 1 {
		t.Errorf("error %v, want one that says once: %s", err, says)
	}
	var told interface{ TerraformDiagnostics() []state.Diagnostic }
	if !errors.As(err, &told) {
		t.Fatalf("%T has no diagnostics", err)
	}
	errs := 0
	for _, d := range told.TerraformDiagnostics() {
		if d.Severity == "error" && strings.Contains(d.Summary, says) && strings.HasPrefix(d.Address, "module.devices.equinix_metal_device.server[") {
			errs++
		}
	}
	if errs != 2 || len(result.Diagnostics) != len(told.TerraformDiagnostics()) {
		t.Errorf("%d errors in %+v", errs, result.Diagnostics)
	}
	if !failed["agent-a"] || !failed["agent-b"] || !strings.Contains(result.Log, says) {
		t.Errorf("failed %v, log:\n%s", failed, result.Log)
	}
	if _, err := os.Stat(filepath.Join(g.Dir, "stacks", "s1", "plan")); !os.IsNotExist(err) {
		t.Errorf("the plan is still there: %v", err)
	}
	if _, devices, err := g.Read(t.Context(), ws.Stack); err != nil || len(devices) != 0 {
		t.Errorf("%v, %v", devices, err)
	}
}

func TestPlanFails(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-a")
	ws.Stack.Settings["metro"] = "ny"
	_, err := g.Plan(t.Context(), ws)
	failure, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	if !strings.HasPrefix(err.Error(), "plan stack s1: ") || !strings.Contains(err.Error(), "facility") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q", err)
	}
	found := false
	for _, d := range failure.Diagnostics {
		found = found || d.Severity == "error" && strings.Contains(d.Detail, "main.tf line")
	}
	if !found || !strings.Contains(failure.Log, "Error: ") {
		t.Errorf("diagnostics %+v", failure.Diagnostics)
	}

	delete(ws.Stack.Settings, "metro")
	delete(ws.Stack.Settings, "plan")
	if _, err := g.Plan(t.Context(), ws); err == nil || err.Error() != "plan stack s1: module packet: setting plan is missing" {
		t.Errorf("a missing setting: %v", err)
	}
	ws = g.workspace("s1", "agent-a")
	ws.Stack.Module = "packet-00000000"
	if _, err := g.Plan(t.Context(), ws); err == nil || !strings.Contains(err.Error(), "packet-00000000") {
		t.Errorf("a missing module: %v", err)
	}
	ws = g.workspace("s1", "agent-a")
	g.UserData = func(state.Server) ([]byte, error) { return nil, errors.New("no template") }
	ws.Servers[0].Name = "agent-new"
	if _, err := g.Plan(t.Context(), ws); err == nil || err.Error() != "plan stack s1: user data of agent-new: no template" {
		t.Errorf("no user data: %v", err)
	}
}

func TestProviderMissingInMirror(t *testing.T) {
	g := newRig(t)
	g.Mirror = t.TempDir()
	_, err := g.Plan(t.Context(), g.workspace("s1", "agent-a"))
	for _, want := range []string{"init stack s1: the mirror " + g.Mirror, "registry.terraform.io/equinix/equinix ~> 4.16", "terraform providers mirror", "DRONE_TERRAFORM_MIRROR"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

func TestParseDiagnostics(t *testing.T) {
	const text = `
Warning: Argument is deprecated

  with provider["registry.terraform.io/equinix/equinix"],
  on main.tf line 7, in provider "equinix":
   7: provider "equinix" {}

Use something else.

(and 3 more similar warnings elsewhere)
╷
│ Error: Invalid thing
│ 
│   on main.tf line 3:
│    3:   x = y
│ 
│ It is not valid,
│ not at all.
╵
Error: Bare
`
	got := parseDiagnostics(text)
	if len(got) != 3 {
		t.Fatalf("%d diagnostics: %+v", len(got), got)
	}
	if d := got[0]; d.Severity != "warning" || d.Summary != "Argument is deprecated" || d.Address != `provider["registry.terraform.io/equinix/equinix"]` ||
		!strings.HasPrefix(d.Detail, "Use something else.\n") || !strings.Contains(d.Detail, "on main.tf line 7") {
		t.Errorf("%+v", d)
	}
	if d := got[1]; d.Severity != "error" || d.Summary != "Invalid thing" || !strings.HasPrefix(d.Detail, "It is not valid,\nnot at all.\n\non main.tf line 3") {
		t.Errorf("%+v", d)
	}
	if d := got[2]; d != (state.Diagnostic{Severity: "error", Summary: "Bare"}) {
		t.Errorf("%+v", d)
	}
	if got := parseDiagnostics("killed\n"); len(got) != 1 || got[0] != (state.Diagnostic{Severity: "error", Summary: "killed"}) {
		t.Errorf("%+v", got)
	}
}

func TestErrorIsShort(t *testing.T) {
	e := &Error{Op: "apply stack s1", Err: errors.New("exit status 1")}
	if got := e.Error(); got != "apply stack s1: exit status 1" {
		t.Error(got)
	}
	for i := range 5 {
		d := state.Diagnostic{Severity: "error", Summary: fmt.Sprint("e", i), Detail: "detail\nmore"}
		e.Diagnostics = append(e.Diagnostics, d, d, state.Diagnostic{Severity: "warning", Summary: "w"})
	}
	if got := e.Error(); got != "apply stack s1: e0: detail more; e1: detail more; e2: detail more; and 2 more" {
		t.Error(got)
	}
	e.Diagnostics = []state.Diagnostic{{Severity: "error", Summary: "e", Detail: strings.Repeat("long ", 1000)}}
	if n := len(e.Error()); n > 350 {
		t.Errorf("%d bytes", n)
	}
}
