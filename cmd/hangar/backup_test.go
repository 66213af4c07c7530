package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/backup"
	"hangar/reconciler/simulator"
	"hangar/state"
	"hangar/state/sqlite"
)

// backUp makes a backup of the world's data folder.
func (w *world) backUp(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hangar.tar.gz")
	if out, err := w.command(t, nil, "backup", file); err != nil || !strings.Contains(out, "installation ") {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	return file
}

// What is restored knows nothing of what came after the backup, and yet nothing is
// lost, made twice or killed: a server that was pending in it has its machine
// found, one that was made since is held for a person, one that is gone since is
// told as gone.
func TestRestoreLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{BootTime: time.Second, BuildTime: 10 * time.Second}, quick)
	settings := []string{"DRONE_POOL_MAX=3", "DRONE_TERRAFORM_SETTLE=3s", "DRONE_SWEEP_INTERVAL=1s", "DRONE_SWEEP_CONFIRM=300ms"}
	s := w.serve(t, append(settings, "DRONE_TERRAFORM_APPROVAL=all")...)
	w.Enqueue(2)
	approvals := append(settings, "DRONE_TERRAFORM_APPROVAL=all")
	first := w.oneWaits(t, approvals, 0).ID
	old := w.backUp(t) // its one server is pending
	approve := func(run int64) {
		t.Helper()
		if _, err := w.command(t, nil, "approve", jsonOf(run)); err != nil {
			t.Fatal(err)
		}
	}
	approve(first)
	until(t, "its builds run", 60*time.Second, func() bool { return w.Stats().Running == 2 })
	w.Enqueue(2)
	approve(w.oneWaits(t, approvals, first).ID)
	until(t, "the later builds run", 60*time.Second, func() bool { return w.Stats().Running == 4 })
	if len(w.requests()) != 2 {
		t.Fatalf("%d machines were ordered, want 2", len(w.requests()))
	}
	later := w.backUp(t) // both run
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}

	w.data = t.TempDir()
	if out, err := w.command(t, nil, "restore", old); err != nil || !strings.Contains(out, "is restored to") {
		t.Fatalf("restore: %v\n%s", err, out)
	}
	s = w.serve(t, settings...)
	told := func(what string) {
		t.Helper()
		until(t, what, 90*time.Second, func() bool { return strings.Contains(s.log.String(), what) })
	}
	told("was found by a census, and adopted") // what was pending
	var audit state.Audit
	until(t, "what was made since is held", 30*time.Second, func() bool {
		if err := json.Unmarshal([]byte(s.get("/api/audit")), &audit); err != nil {
			t.Fatal(err)
		}
		return len(audit.Findings) == 1 && audit.Findings[0].Held
	})
	if _, err := w.command(t, nil, "audit", "--adopt"); err != nil {
		var found exitStatus
		if !errors.As(err, &found) || found != 2 {
			t.Fatalf("audit --adopt: %v", err)
		}
	}
	told("adopted on a person's order")
	until(t, "all builds have succeeded", 60*time.Second, func() bool { return w.Stats().Succeeded == 4 })
	until(t, "no machine is left", 60*time.Second, func() bool { return w.Stats().Alive == 0 })
	if stats := w.Stats(); stats.Failed != 0 || len(w.requests()) != 2 {
		t.Errorf("%d builds failed; %d machines were ordered, want 2", stats.Failed, len(w.requests()))
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}

	// Both servers of the later backup are gone now.
	w.data = t.TempDir()
	if _, err := w.command(t, nil, "restore", later); err != nil {
		t.Fatal(err)
	}
	s = w.serve(t, settings...)
	until(t, "that they are gone is found", 60*time.Second, func() bool { return len(s.servers()["running"]) == 0 })
	w.Enqueue(1)
	until(t, "a new one works", 60*time.Second, func() bool { return w.Stats().Running == 1 })
	until(t, "no machine is left", 60*time.Second, func() bool { return w.Stats().Alive == 0 })
	if out, err := w.command(t, nil, "audit"); err != nil {
		t.Errorf("audit: %v\n%s", err, out)
	}
}

func jsonOf(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// Backups of a hangar at work are whole, every one.
func TestBackupsOfAHangarAtWork(t *testing.T) {
	w := newWorld(t, simulator.Config{BootTime: 300 * time.Millisecond, BuildTime: 300 * time.Millisecond}, quick)
	s := w.serve(t, "DRONE_POOL_IDLE=100ms")
	w.Enqueue(6)
	for made := 0; w.Stats().Succeeded < 6 || made < 5; made++ {
		var out bytes.Buffer
		if err := run(t.Context(), []string{"backup", "-"}, w.environ(), &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		if _, err := backup.Extract(&out, folder); err != nil {
			t.Fatal(err)
		}
		store, err := sqlite.Open(t.Context(), filepath.Join(folder, backup.Database))
		if err != nil {
			t.Fatal(err)
		}
		stacks, err := store.Stacks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, stack := range stacks {
			sight, err := store.Sight(t.Context(), stack.Name)
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(filepath.Join(folder, "stacks", stack.Name, "terraform.tfstate"))
			var of struct{ Serial int64 }
			switch {
			case !stack.Emptied.IsZero():
			case sight.Version == nil && !errors.Is(err, os.ErrNotExist):
				t.Errorf("stack %s has a state that is in no record", stack.Name)
			case sight.Version != nil && (err != nil || json.Unmarshal(content, &of) != nil || of.Serial != sight.Version.Serial):
				t.Errorf("stack %s: serial %d, recorded %d: %v", stack.Name, of.Serial, sight.Version.Serial, err)
			}
		}
		for _, name := range []string{"ssh/id_ed25519", "ssh/host-seed", "modules"} {
			if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
				t.Error(err)
			}
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
	s.ended()
}

func TestBackupAndRestoreRefuse(t *testing.T) {
	w := newWorld(t, simulator.Config{}, quick)
	if _, err := w.command(t, nil, "backup", filepath.Join(t.TempDir(), "b")); err == nil || !strings.Contains(err.Error(), "has hangar run here before?") {
		t.Errorf("a backup of nothing: %v", err)
	}
	s := w.serve(t)
	file := w.backUp(t)
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the backup has mode %v, %v", info.Mode(), err)
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := errors.Join(os.WriteFile(open, nil, 0o600), os.Chmod(open, 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.command(t, nil, "backup", open); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("to a file that others can read: %v", err)
	}
	if _, err := w.command(t, nil, "restore", file); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("to the folder of a running hangar: %v", err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.command(t, nil, "restore", file); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("to a folder with records: %v", err)
	}

	w.data = t.TempDir()
	damaged := filepath.Join(t.TempDir(), "damaged")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, content[:len(content)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.command(t, nil, "restore", damaged); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("of a file that was cut off: %v", err)
	}
	var newer bytes.Buffer
	b := backup.NewWriter(&newer, backup.Manifest{Hangar: "99.0", Schema: 1000})
	if err := errors.Join(b.Bytes(backup.Database, nil), b.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, newer.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.command(t, nil, "restore", damaged); err == nil || !strings.Contains(err.Error(), "written by hangar 99.0") {
		t.Errorf("of a newer hangar's: %v", err)
	}
	if entries, err := os.ReadDir(w.data); err != nil || len(entries) > 1 { // the lock
		t.Errorf("what was refused left %v, %v", entries, err)
	}
	if _, err := w.command(t, nil, "restore", file); err != nil {
		t.Errorf("after all that: %v", err)
	}
	if entries, err := os.ReadDir(w.data); err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == restoring }) {
		t.Errorf("the folder of the restore is left: %v, %v", entries, err)
	}
}

// A restore that was killed before the records were in place leaves no folder in
// which hangar would begin anew and forget its machines.
func TestServeRefusesHalfARestore(t *testing.T) {
	w := newWorld(t, simulator.Config{}, quick)
	if err := w.serve(t).stop(); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(w.data, restoring)
	if err := errors.Join(os.Mkdir(half, 0o700), os.Rename(filepath.Join(w.data, "database.sqlite"), filepath.Join(half, backup.Database))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.command(t, nil, "serve"); err == nil || !strings.Contains(err.Error(), "did not end: empty the folder, and restore again") {
		t.Errorf("serve: %v", err)
	}
	if _, err := os.Stat(filepath.Join(w.data, "database.sqlite")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it began anew: %v", err)
	}
}
