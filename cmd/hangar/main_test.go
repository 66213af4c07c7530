package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/simulator"
)

func itoa(n int) string { return strconv.Itoa(n) }

func pathOf(t *testing.T) string {
	t.Helper()
	return os.Getenv("PATH")
}

func TestCommandLine(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
		code int
	}{
		{"plain hangar prints help", nil, "hangar simulate", 0},
		{"help", []string{"--help"}, "Show what serve would do now", 0},
		{"the reference of all settings", []string{"serve", "--help"}, "DRONE_POOL_MAX ", 0},
		{"version", []string{"version"}, "hangar dev", 0},
		{"version as JSON", []string{"version", "--json"}, `"version": "dev"`, 0},
		{"unknown command", []string{"sreve"}, "sreve", 2},
		{"serve without settings", []string{"serve"}, "DRONE_SERVER_HOST is not set", 2},
		{"what the history teaches", []string{"state", "diff", "--help"}, "hangar state diff default-k3v7q2mn 3 5", 0},
		{"state without a command", []string{"state"}, `expected one of "list"`, 2},
		{"a serial that is none", []string{"state", "show", "x", "y"}, "<serial>", 2},
		{"completion", []string{"completion", "bash"}, "source <(hangar completion -c bash)", 0},
		{"completion itself", []string{"completion", "-c", "fish"}, "complete -f -c hangar", 0},
		{"completion of another shell", []string{"completion", "csh"}, "bash", 2},
		{"what status teaches", []string{"status", "--help"}, "hangar status --watch", 0},
		{"what explain teaches", []string{"explain", "--help"}, "hangar explain agent-k3v7q2mn", 0},
		{"what check teaches", []string{"check", "--help"}, "POST /rpc/v2/ping", 0},
		{"explain without settings", []string{"explain"}, "DRONE_SERVER_TOKEN is not set", 2},
		{"plan without settings", []string{"plan"}, "DRONE_SERVER_HOST is not set", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), tt.args, map[string]string{}, &out, &out)
			text := out.String()
			if err != nil {
				text += err.Error()
			}
			if exitCode(err) != tt.code || !strings.Contains(text, tt.want) {
				t.Errorf("exit code %d, want %d; want %q in:\n%s", exitCode(err), tt.code, tt.want, text)
			}
		})
	}
}

// A mistake is told before any file is touched.
func TestMistakeTouchesNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := run(t.Context(), []string{"serve"}, guide("DRONE_POOL_MAX=two"), os.Stdout, os.Stderr); err == nil {
		t.Fatal("no error")
	}
	entries, err := os.ReadDir(".")
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// plan shows the decision and terraform's plan, beside a running server and
// without one, and changes nothing.
func TestPlanChangesNothing(t *testing.T) {
	w := newWorld(t, simulator.Config{BootTime: 100 * time.Millisecond, BuildTime: time.Hour}, quick)
	w.Enqueue(3)
	args := []string{"plan"}
	plan := func(more ...string) string {
		t.Helper()
		var out bytes.Buffer
		if err := run(t.Context(), args, w.environ(more...), &out, &out); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		for _, secret := range []string{w.Config().RPCSecret, w.Config().APIKey} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("the plan shows a secret")
			}
		}
		return out.String()
	}
	fresh := plan()
	for _, want := range []string{"3 waiting", "Plan: 2 to add, 0 to change, 0 to destroy.", `hostname                         = "agent-`, "Guard: passed: 2 to create", "Nothing was changed."} {
		if !strings.Contains(fresh, want) {
			t.Errorf("the plan has no %q:\n%s", want, fresh)
		}
	}
	args = append(args, "--json")
	var answer planned
	if err := json.Unmarshal([]byte(plan("DRONE_TERRAFORM_CHECK=echo not today; exit 1")), &answer); err != nil || answer.Decision.Pools[0].Create != 2 || len(answer.Stacks) != 1 ||
		len(answer.Stacks[0].Creates) != 2 || !strings.Contains(answer.Stacks[0].Verdict, "passed") || !strings.Contains(answer.Stacks[0].Check, "not today") || answer.InFlight == nil {
		t.Errorf("--json: %v %+v", err, answer)
	}
	args = args[:1]
	if entries, err := os.ReadDir(w.data); err != nil || len(entries) != 0 {
		t.Errorf("plan left %v in the data folder, %v", entries, err)
	}
	s := w.serve(t)
	until(t, "two servers run", 90*time.Second, func() bool { return len(s.servers()["running"]) == 2 })
	until(t, "they work", 60*time.Second, func() bool { return w.Stats().Running == 3 })
	s.ended()
	before := s.get("/api/runs")
	beside := plan("DRONE_POOL_MIN=3", "DRONE_TERRAFORM_CHECK=grep -q resource_changes")
	for _, want := range []string{"Plan: 1 to add", "running", "keep", "Guard: passed: 1 to create", "Check: passed"} {
		if !strings.Contains(beside, want) {
			t.Errorf("the plan has no %q:\n%s", want, beside)
		}
	}
	if after := s.get("/api/runs"); after != before || w.Stats().Created != 2 {
		t.Errorf("plan changed something: %s\n%s", before, after)
	}
}

// The shell asks by its variables, and gets the commands and flags.
func TestCompletion(t *testing.T) {
	for line, want := range map[string]string{"hangar ex": "explain\n", "hangar status --w": "--watch\n", "hangar state d": "diff\n"} {
		t.Setenv("COMP_LINE", line)
		t.Setenv("COMP_POINT", itoa(len(line)))
		var out, errs bytes.Buffer
		if err := run(t.Context(), nil, nil, &out, &errs); err != nil || out.String() != want {
			t.Errorf("%s: got %q, want %q; %v %s", line, out.String(), want, err, errs.String())
		}
	}
}
