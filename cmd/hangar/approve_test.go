package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
)

// command runs a command of hangar in the world and returns what it prints.
func (w *world) command(t *testing.T, settings []string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, w.environ(settings...), &out, &out)
	return out.String(), err
}

// waiting lists the runs that wait, by hangar runs; none while there are no
// records yet.
func (w *world) waiting(t *testing.T, settings []string) (runs []state.Run) {
	t.Helper()
	out, err := w.command(t, settings, "runs", "--phase", "planned", "--json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &runs)
	}
	if err != nil {
		t.Logf("%v\n%s", err, out)
	}
	return runs
}

// oneWaits waits until one run waits, one newer than that of number above.
func (w *world) oneWaits(t *testing.T, settings []string, above int64) (run state.Run) {
	t.Helper()
	until(t, "one run waits", 90*time.Second, func() bool {
		runs := w.waiting(t, settings)
		if len(runs) == 1 && runs[0].ID > above && runs[0].Awaits() {
			run = runs[0]
			return true
		}
		return false
	})
	return run
}

// What waits is shown, survives a kill and is applied when it is approved; what is
// discarded is not; what is stale is planned anew; and the saved plan, which holds
// secrets, is there only as long as it may be applied.
func TestApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{BootTime: 100 * time.Millisecond, BuildTime: time.Second}, quick)
	settings := []string{"DRONE_TERRAFORM_APPROVAL=all", "DRONE_TERRAFORM_SETTLE=1s", "DRONE_POOL_IDLE=1s"}
	w.Enqueue(1)
	kill := w.process(t, settings...)
	defer kill()
	run := w.oneWaits(t, settings, 0)
	plan := filepath.Join(w.data, "stacks", run.Stack, "plan")
	if info, err := os.Stat(plan); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the saved plan: %v, %v", info, err)
	}
	kill()

	s := w.serve(t, settings...)
	time.Sleep(time.Second) // several passes
	if again := w.oneWaits(t, settings, 0); again.ID != run.ID || w.Stats().Created != 0 {
		t.Fatalf("after a kill: %+v, %+v", again, w.Stats())
	}
	out, err := w.command(t, settings, "runs", fmt.Sprint(run.ID))
	if err != nil || !strings.Contains(out, "Plan: 1 to add") || !strings.Contains(out, "waits for approval") || !strings.Contains(out, "init ") || strings.Contains(out, w.Config().RPCSecret) {
		t.Errorf("runs %d: %v\n%s", run.ID, err, out)
	}
	if out, err := w.command(t, settings, "approve", fmt.Sprint(run.ID)); err != nil || !strings.Contains(out, "approved by") {
		t.Fatalf("approve: %v\n%s", err, out)
	}
	until(t, "the build has succeeded", 90*time.Second, func() bool { return w.Stats().Succeeded == 1 })
	if applied, err := w.command(t, settings, "runs", "--phase", "applied"); err != nil || !strings.Contains(applied, run.Stack) {
		t.Errorf("runs: %v\n%s", err, applied)
	}
	if _, err := os.Stat(plan); !os.IsNotExist(err) {
		t.Errorf("the applied plan is still there: %v", err)
	}
	if out, err := w.command(t, settings, "approve", fmt.Sprint(run.ID)); err == nil || !strings.Contains(err.Error(), "does not wait") {
		t.Errorf("approved twice: %v\n%s", err, out)
	}

	destroy := w.oneWaits(t, settings, run.ID)
	if err := os.Remove(plan); err != nil {
		t.Fatal(err)
	}
	// It is too late where hangar has seen by itself that the plan is gone.
	if out, err := w.command(t, settings, "approve", fmt.Sprint(destroy.ID)); err != nil && !strings.Contains(err.Error(), "the run is discarded") {
		t.Fatalf("approve: %v\n%s", err, out)
	}
	again := w.oneWaits(t, settings, destroy.ID)
	if out, err := w.command(t, settings, "runs", fmt.Sprint(destroy.ID)); err != nil || !strings.Contains(out, "its saved plan is gone; planned anew") {
		t.Errorf("the stale run: %v\n%s", err, out)
	}
	if out, err := w.command(t, settings, "discard", fmt.Sprint(again.ID)); err != nil || !strings.Contains(out, "discarded by") {
		t.Fatalf("discard: %v\n%s", err, out)
	}
	until(t, "its server is back at work", 60*time.Second, func() bool { return len(s.servers()["running"]) == 1 })
	until(t, "its plan is removed", 30*time.Second, func() bool { _, err := os.Stat(plan); return os.IsNotExist(err) })
	time.Sleep(3 * time.Second) // longer than it may be idle
	if left := w.waiting(t, settings); len(left) != 0 || w.Stats().Alive != 1 {
		t.Errorf("asked for again: %+v, %+v", left, w.Stats())
	}
	w.Enqueue(1) // which it takes: the demand changes
	until(t, "the second build has succeeded", 60*time.Second, func() bool { return w.Stats().Succeeded == 2 })
	last := w.oneWaits(t, settings, again.ID)
	if out, err := w.command(t, settings, "approve", fmt.Sprint(last.ID)); err != nil {
		t.Fatalf("approve: %v\n%s", err, out)
	}
	until(t, "no device is left", 60*time.Second, func() bool { return w.Stats().Alive == 0 && len(s.servers()["stopped"]) == 1 })
	if stats := w.Stats(); stats.Created != 1 || stats.Failed != 0 {
		t.Errorf("stats %+v", stats)
	}
	noSecrets(t, w, s)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.command(t, settings, "discard", "1"); err == nil || !strings.Contains(err.Error(), "no hangar serve is running") {
		t.Errorf("without a server: %v", err)
	}
}

// A check sees plans without secrets, and what it refuses is not applied.
func TestCheckRefuses(t *testing.T) {
	w := newWorld(t, simulator.Config{BootTime: 100 * time.Millisecond, BuildTime: time.Second}, quick)
	seen, allow := filepath.Join(t.TempDir(), "seen"), filepath.Join(t.TempDir(), "allow")
	s := w.serve(t, "DRONE_TERRAFORM_RETRY=500ms",
		fmt.Sprintf(`DRONE_TERRAFORM_CHECK=cat >%s; env >>%s; test -e %s || { echo "not today, $HANGAR_POOL"; exit 1; }`, seen, seen, allow))
	w.Enqueue(1)
	until(t, "the plan is refused", 90*time.Second, func() bool { return strings.Contains(s.get("/api/runs?phase=refused"), "not today, default") })
	text, err := os.ReadFile(seen)
	if err != nil || !bytes.Contains(text, []byte(`"resource_changes"`)) || !bytes.Contains(text, []byte("HANGAR_STACK=")) {
		t.Errorf("the check saw %q, %v", text, err)
	}
	for _, secret := range []string{w.Config().ServerToken, w.Config().RPCSecret, w.Config().APIKey} {
		if bytes.Contains(text, []byte(secret)) {
			t.Error("the check saw a secret")
		}
	}
	if created := w.Stats().Created; created != 0 {
		t.Errorf("%d devices", created)
	}
	if err := os.WriteFile(allow, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the build has succeeded", 90*time.Second, func() bool { return w.Stats().Succeeded == 1 })
}
