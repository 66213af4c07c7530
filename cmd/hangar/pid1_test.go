package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// first starts a shell script under a supervisor that is process 1 of a
// namespace of its own, as in a container.
func first(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HANGAR_TEST_SUPERVISE="+script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 { // who may make a namespace of processes in one of users only
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func wantExit(t *testing.T, cmd *exec.Cmd, code int) {
	t.Helper()
	var exit *exec.ExitError
	if err := cmd.Wait(); code != cmd.ProcessState.ExitCode() || err != nil && !errors.As(err, &exit) {
		t.Errorf("%v: exit code %d, want %d", err, cmd.ProcessState.ExitCode(), code)
	}
}

// children are the processes whose parent is this one, each with its state.
func children(t *testing.T, parent int) map[string]string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			found[filepath.Base(filepath.Dir(path))] = fields[0]
		}
	}
	return found
}

// Orphans come to process 1, and it buries them while its child goes on.
func TestProcessOneReapsOrphans(t *testing.T) {
	done := filepath.Join(t.TempDir(), "done")
	cmd := first(t, `for i in 1 2 3; do (sleep 0.3 & sleep 0.3 &); done; while ! test -e `+done+`; do sleep 0.05; done; exit 7`)
	until(t, "orphans come to it", 10*time.Second, func() bool { return len(children(t, cmd.Process.Pid)) == 7 })
	until(t, "they are buried", 10*time.Second, func() bool { return len(children(t, cmd.Process.Pid)) == 1 })
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantExit(t, cmd, 7)
}

// What process 1 is told its child is told, and how that ends it tells.
func TestProcessOnePassesSignalsOn(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	cmd := first(t, `trap 'exit 9' TERM; trap 'echo >`+ready+`2' HUP; echo >`+ready+`1; while :; do sleep 0.05; done`)
	is := func(n string) func() bool { return func() bool { _, err := os.Stat(ready + n); return err == nil } }
	until(t, "it is ready", 10*time.Second, is("1"))
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "SIGHUP has come", 10*time.Second, is("2"))
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wantExit(t, cmd, 9)
	wantExit(t, first(t, `kill -KILL $$`), 137)
}

// Ctrl-C on a terminal tells every process of the foreground group, and process 1
// passes it on: hangar is in a group of its own, so that it is told once. A second
// signal would cut off its applies.
func TestProcessOneIsInterruptedAlone(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	cmd := first(t, `trap 'exit 9' INT; echo >`+ready+`; while :; do sleep 0.05; done`)
	until(t, "it is ready", 10*time.Second, func() bool { _, err := os.Stat(ready); return err == nil })
	for child := range children(t, cmd.Process.Pid) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			t.Fatal(err)
		}
		if group, err := syscall.Getpgid(pid); err != nil || group == cmd.Process.Pid {
			t.Errorf("its child is in group %d, its own, %v", group, err)
		}
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	wantExit(t, cmd, 9)
}
