package terraform

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// wrapped is a terraform that writes down how it is called and what it sees
// of the environment.
func wrapped(t *testing.T) (binary, calls, env string) {
	t.Helper()
	real := need(t, "terraform")
	dir := t.TempDir()
	binary, calls, env = filepath.Join(dir, "terraform"), filepath.Join(dir, "calls"), filepath.Join(dir, "env")
	script := fmt.Sprintf("#!/bin/sh\necho \"$1\" >> %s\nenv > %s.$1\nexec %s \"$@\"\n", calls, env, real)
	if err := os.WriteFile(binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return binary, calls, env
}

// called returns the commands since the last time.
func called(t *testing.T, calls string) []string {
	t.Helper()
	b, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(calls); err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

func TestInitOnlyWhenNeeded(t *testing.T) {
	binary, calls, _ := wrapped(t)
	g := newRigWith(t, binary)
	plan := func(stack string) []string {
		t.Helper()
		if _, err := g.Plan(t.Context(), g.workspace(stack, "agent-"+stack)); err != nil {
			t.Fatal(err)
		}
		return called(t, calls)
	}
	steps := []struct {
		name   string
		change func()
		stack  string
		want   bool
	}{
		{"the first stack", func() {}, "s1", true},
		{"again", func() {}, "s1", false},
		{"another stack of the kind", func() {}, "s2", false},
		{"another provider in the mirror", func() { touch(t) }, "s1", true},
		{"the other stack follows", func() {}, "s2", false},
		{"another terraform", func() { g.Binary.Version = "1.99.0" }, "s1", true},
		{"a lost folder", func() {
			for _, dir := range []string{filepath.Join(g.Dir, "stacks", "s1"), filepath.Join(g.prepared(), g.module.Folder())} {
				if err := os.RemoveAll(filepath.Join(dir, ".terraform")); err != nil {
					t.Fatal(err)
				}
			}
		}, "s1", true},
	}
	for _, step := range steps {
		step.change()
		commands := plan(step.stack)
		if got := slices.Contains(commands, "init"); got != step.want {
			t.Errorf("%s: terraform was called with %v; init wanted: %v", step.name, commands, step.want)
		}
		if !slices.Contains(commands, "plan") || !slices.Contains(commands, "show") {
			t.Errorf("%s: terraform was called with %v", step.name, commands)
		}
	}
	if got, want := plan("s1"), []string{"plan", "show"}; !slices.Equal(got, want) {
		t.Errorf("an ordinary plan calls %v, want %v", got, want)
	}
}

// touch makes the provider in the mirror look new.
func touch(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(mirror, "registry.terraform.io", "equinix", "equinix", "*", platform, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	at := time.Now().Add(-time.Hour)
	if err := os.Chtimes(files[0], at, at); err != nil {
		t.Fatal(err)
	}
}

// A folder that is not what init left is not used for ever.
func TestInitAfterDamage(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-a")
	if _, err := g.Plan(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(g.Dir, "stacks", "s1", ".terraform", "providers")); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Plan(t.Context(), ws); err == nil {
		t.Fatal("planned without a provider")
	}
	if _, err := g.Plan(t.Context(), ws); err != nil {
		t.Error(err)
	}
}

func TestTerraformSeesLittle(t *testing.T) {
	t.Setenv("DRONE_RPC_SECRET", rpcSecret)
	t.Setenv("TF_LOG", "TRACE")
	t.Setenv("TF_VAR_plan", "huge")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	binary, _, env := wrapped(t)
	g := newRigWith(t, binary)
	g.apply(t, g.workspace("s1", "agent-a"), 1)
	known := []string{
		"METAL_AUTH_TOKEN", "TF_CLI_CONFIG_FILE", "CHECKPOINT_DISABLE", // hangar
		"TF_APPEND_USER_AGENT", "TF_IN_AUTOMATION", "TF_LOG", "TF_LOG_CORE", "TF_LOG_PATH", "TF_LOG_PROVIDER", // terraform-exec
		"PWD", "OLDPWD", "SHLVL", "_", // the shell
		"GORACE", // these tests
	}
	for _, command := range []string{"init", "plan", "show", "apply"} {
		b, err := os.ReadFile(env + "." + command)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			if !slices.Contains(known, name) && !slices.Contains(passed, name) {
				t.Errorf("%s sees %s", command, name)
			}
			if name == "TF_LOG" && value != "" {
				t.Errorf("%s logs at %s", command, value)
			}
		}
		if !strings.Contains(string(b), "METAL_AUTH_TOKEN="+apiKey) {
			t.Errorf("%s does not see the key", command)
		}
	}
}

func TestVersionInMirror(t *testing.T) {
	for path, want := range map[string]string{
		"m/registry.terraform.io/equinix/equinix/4.16.1/" + platform + "/terraform-provider-equinix_v4.16.1": "4.16.1",
		"m/registry.terraform.io/equinix/equinix/terraform-provider-equinix_4.16.0_" + platform + ".zip":     "4.16.0",
	} {
		if got := versionIn(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// What was prepared ahead is what the first stack takes, and by which its plan is
// in order; nothing of it is left behind.
func TestPrepare(t *testing.T) {
	binary, calls, _ := wrapped(t)
	g := newRigWith(t, binary)
	ws := g.workspace("s1", "agent-a")
	candidate := state.Candidate{Module: ws.Stack.Module, Settings: ws.Stack.Settings}
	for _, want := range [][]string{{"init"}, nil} { // the second time it is there
		if err := g.Prepare(t.Context(), candidate); err != nil {
			t.Fatal(err)
		}
		var commands []string
		if _, err := os.Stat(calls); err == nil {
			commands = slices.DeleteFunc(called(t, calls), func(c string) bool { return c == "version" })
		}
		if !slices.Equal(commands, want) {
			t.Errorf("preparing calls %v, want %v", commands, want)
		}
	}
	if _, err := os.Stat(filepath.Join(g.own(), "ahead")); err == nil {
		t.Error("the folder is still there")
	}
	plan, err := g.Plan(t.Context(), ws)
	if err != nil || len(plan.Changes) != 1 {
		t.Fatalf("%+v, %v", plan.Changes, err)
	}
	if commands := called(t, calls); slices.Contains(commands, "init") {
		t.Errorf("the first stack calls %v", commands)
	}
	candidate.Module = "packet-00000000"
	if err := g.Prepare(t.Context(), candidate); err == nil {
		t.Error("a module that is not there was prepared")
	}
}
