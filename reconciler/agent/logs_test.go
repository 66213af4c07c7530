package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"hangar/state"
)

func TestLogs(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-logs")
	m.set("log", "Setting up docker.io\n")
	m.set("runner.log", "level=info msg=\"polling \x1b[1mthe remote server\x1b[0m\"\x07\nno line break")
	var out bytes.Buffer
	if err := m.client().Logs(t.Context(), m.host, false, &out); err != nil {
		t.Fatal(err)
	}
	want := "==> cloud-init (" + cloudInitLog + ") <==\nSetting up docker.io\n" +
		"==> runner (" + runnerLog + ") <==\nlevel=info msg=\"polling the remote server\"\nno line break\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	m.unset("log")
	m.unset("container")
	out.Reset()
	if err := m.client().Logs(t.Context(), m.host, true, &out); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"No such file or directory", "No such container: agent"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("without logs, %q does not say %q", &out, part)
		}
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-follow")
	m.set("runner.log", "first\n")
	c := m.client()
	ctx, cancel := context.WithCancel(t.Context())
	out := newJournal()
	ended := make(chan error, 1)
	go func() { ended <- c.Logs(ctx, m.host, true, out) }()
	if !out.contains("first\n") {
		t.Fatalf("%s", out)
	}
	m.set("runner.log", "first\nsecond\n")
	if !out.contains("second\n") {
		t.Fatalf("%s", out)
	}
	// Other work on the machine goes on meanwhile.
	if look, err := c.Look(t.Context(), m.host); err != nil || !look.Ready() {
		t.Errorf("%+v, %v", look, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("its end: %v", err)
	}
}

// A command that follows a log in which nothing happens does not stay behind
// on the machine.
func TestFollowSilence(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-silent")
	m.set("silent", "")
	ctx, cancel := context.WithCancel(t.Context())
	out := newJournal()
	ended := make(chan error, 1)
	c := m.client()
	go func() { ended <- c.Logs(ctx, m.host, true, out) }()
	if !out.contains("silent\n") {
		t.Fatalf("%s", out)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	stat := filepath.Join("/proc", m.get("follower"), "stat")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(stat)
		if err != nil || strings.Contains(string(text), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is still there: %s", text)
		}
	}
}

// broken is a reader that went away.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("went away") }

func TestFollowEnds(t *testing.T) {
	t.Parallel()
	m := newMachine(t, newKeys(t), "agent-ends")
	m.set("runner.log", "a line\n")
	p := newProxy(t, fmt.Sprintf("127.0.0.1:%d", m.port))
	c := m.client()
	c.Port, c.Timeout, c.Keepalive, c.Limit = p.port(), 3*time.Second, 20*time.Millisecond, 2
	if err := c.Logs(t.Context(), m.host, true, broken{}); err == nil || !strings.Contains(err.Error(), "went away") {
		t.Errorf("its reader went away: %v", err)
	}
	out := newJournal()
	ended := make(chan error, 1)
	go func() { ended <- c.Logs(t.Context(), m.host, true, out) }()
	if !out.contains("a line") {
		t.Fatalf("%s", out)
	}
	wantError(t, c.Logs(t.Context(), m.host, true, newJournal()), state.Unavailable, "1 logs are followed already")
	p.stall(true)
	wantError(t, <-ended, state.Unavailable, "agent-ends", runnerFollow)
}

// What a machine says is bounded, whatever it says.
func TestBounds(t *testing.T) {
	t.Parallel()
	keys := newKeys(t)
	flood := strings.Repeat("x", 1<<16)
	s := newServer(t, keys, "agent-loud", func(_ string, out ssh.Channel) uint32 {
		for range 48 {
			out.Write([]byte(flood))
			out.Stderr().Write([]byte(flood + "\n"))
		}
		return 1
	})
	c := New(keys)
	c.Dial = newDialer(s).dial
	defer c.Close()
	var out bytes.Buffer
	if err := c.Logs(t.Context(), s.host, false, &out); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 2*maxOutput+1000 || !strings.HasSuffix(out.String(), "(more is not shown)\n") {
		t.Errorf("%d bytes, which end in %q", out.Len(), out.String()[out.Len()-30:])
	}
	if err := c.Drain(t.Context(), s.host); err == nil || len(err.Error()) > 1000 {
		t.Errorf("%.2000v", err)
	}
	if look, err := c.Look(t.Context(), s.host); err == nil || len(err.Error()) > 1000 {
		t.Errorf("%.2000v, %v", look, err)
	}
}
