package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
)

// audit runs hangar audit and returns its exit code and what it printed.
func (w *world) audit(t *testing.T, more []string, args ...string) (code int, out string) {
	t.Helper()
	var stdout bytes.Buffer
	err := run(t.Context(), append([]string{"audit"}, args...), w.environ(more...), &stdout, io.Discard)
	if _, silent := errors.AsType[exitStatus](err); err != nil && !silent {
		stdout.WriteString(err.Error())
	}
	return exitCode(err), stdout.String()
}

// An audit finds what nobody knows, beside a running server and without one;
// the server removes it.
func TestAuditFindsAnOrphan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{BootTime: 100 * time.Millisecond}, quick)
	settings := []string{"DRONE_POOL_MIN=1", "DRONE_POOL_IDLE=1h", "DRONE_INSTANCE=i-test", "DRONE_SWEEP_CONFIRM=2s", "DRONE_TERRAFORM_SETTLE=1s", "DRONE_AGENT_GRACE=1s"}
	s := w.serve(t, settings...)
	until(t, "the minimum runs", 90*time.Second, func() bool { return len(s.servers()["running"]) == 1 })
	until(t, "the first sweep was made", 30*time.Second, func() bool { return strings.Contains(s.get("/api/audit"), `"at":"2`) })
	if code, out := w.audit(t, settings); code != 0 || !strings.Contains(out, "1 machine of this installation") || !strings.Contains(out, "0 findings") {
		t.Errorf("clean: %d\n%s", code, out)
	}
	order := simulator.Order{Hostname: "agent-zzzzzzzz", Tags: []string{"hangar", "hangar-instance=i-test", "hangar-stack=default-zzzzzzzz", "hangar-server=agent-zzzzzzzz"}}
	id := w.Order(order)
	code, out := w.audit(t, settings)
	if code != 2 || !strings.Contains(out, "orphan") || !strings.Contains(out, id) {
		t.Errorf("orphan: %d\n%s", code, out)
	}
	until(t, "it is removed", 60*time.Second, func() bool { return w.Stats().Alive == 1 })
	until(t, "the audit is clean again", 30*time.Second, func() bool { code, _ := w.audit(t, settings); return code == 0 })
	until(t, "its destruction is verified and counted", 30*time.Second, func() bool {
		return strings.Contains(s.get("/metrics"), "\nhangar_orphans_destroyed_total 1\n")
	})
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}

	id = w.Order(order)
	code, out = w.audit(t, settings, "--json")
	var audit state.Audit
	if err := json.Unmarshal([]byte(out), &audit); err != nil || code != 2 || audit.Devices != 2 || len(audit.Findings) != 1 || audit.Findings[0].Device != id {
		t.Errorf("without a server: %d %v\n%s", code, err, out)
	}
	if code, out := w.audit(t, settings, "--destroy"); code != 1 || !strings.Contains(out, "no hangar serve is running") {
		t.Errorf("an order without a server: %d %s", code, out)
	}
	if alive := w.Stats().Alive; alive != 2 {
		t.Errorf("%d devices after an audit that changes nothing", alive)
	}
	w.SetFaults(simulator.Faults{Denied: true})
	if code, out := w.audit(t, settings); code != 1 || !strings.Contains(out, "could not be looked at") {
		t.Errorf("denied: %d\n%s", code, out)
	}
	for what, more := range map[string][]string{
		"a mistake in the settings": {"DRONE_POOL_MAX=none"},
		"no records":                {"DRONE_DATA=" + t.TempDir(), "DRONE_INSTANCE="},
	} {
		if code, out := w.audit(t, append(slices.Clone(settings), more...)); code != 1 {
			t.Errorf("%s: %d, which is the code of a finding\n%s", what, code, out)
		}
	}
	if code, _ := w.audit(t, settings, "--adpot"); code != 1 {
		t.Errorf("a misspelled flag: %d", code)
	}
}

// After a lost volume the old machines are found by their tag, shown, and
// taken over with the builds on them.
func TestAuditAdoptsAfterALostVolume(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{BootTime: 100 * time.Millisecond, BuildTime: 20 * time.Second}, quick)
	// With the volume the keys are lost, too: nobody can log in to the machines.
	settings := []string{"DRONE_AGENT_SSH=false", "DRONE_POOL_MAX=2", "DRONE_INSTANCE=i-test", "DRONE_SWEEP_CONFIRM=500ms", "DRONE_TERRAFORM_SETTLE=1s", "DRONE_TERRAFORM_RETRY=500ms"}
	w.Enqueue(4)
	first := w.serve(t, settings...)
	until(t, "two work", 90*time.Second, func() bool { return w.Stats().Running == 4 })
	first.ended()
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(w.data), os.MkdirAll(w.data, 0o700)); err != nil {
		t.Fatal(err)
	}
	s := w.serve(t, settings...)
	until(t, "both are shown and held", 60*time.Second, func() bool { return strings.Count(s.get("/api/audit"), `"held":true`) == 2 })
	time.Sleep(time.Second) // longer than it takes to confirm
	if n := len(s.servers()["running"]); n != 0 {
		t.Errorf("%d were taken over without being asked", n)
	}
	code, out := w.audit(t, settings, "--adopt")
	if code != 0 || strings.Count(out, "held:") != 2 || !strings.Contains(out, "After --adopt") {
		t.Errorf("adopt: %d\n%s", code, out)
	}
	if !strings.Contains(s.get("/metrics"), "\nhangar_orphans_adopted_total 2\n") {
		t.Error("the metrics do not count both")
	}
	until(t, "both are at work", 60*time.Second, func() bool { return len(s.servers()["running"]) == 2 })
	until(t, "their builds have succeeded", 60*time.Second, func() bool { return w.Stats().Succeeded == 4 })
	until(t, "they have gone", 60*time.Second, func() bool { return w.Stats().Alive == 0 })
	if stats := w.Stats(); stats.Failed != 0 || stats.Created != 2 {
		t.Errorf("stats %+v", stats)
	}
}
