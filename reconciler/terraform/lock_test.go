package terraform

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// personAsks starts a destroy by hand, which holds the stack's lock while it
// asks whether it may. The answer, no, is what the returned function gives.
func personAsks(t *testing.T, g *rig, stack string) (answer func()) {
	t.Helper()
	cmd := exec.Command(g.Binary.Path, "destroy", "-no-color")
	cmd.Dir = filepath.Join(g.Dir, "stacks", stack)
	for name, value := range g.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for out := bufio.NewReader(stdout); !strings.Contains(said.String(), "Enter a value:"); {
		c, err := out.ReadByte()
		if err != nil {
			t.Fatalf("it did not ask: %s", said.String())
		}
		said.WriteByte(c)
	}
	return func() {
		io.WriteString(stdin, "no\n")
		stdin.Close()
		io.Copy(io.Discard, stdout)
		cmd.Wait() // fails: it was cancelled
	}
}

// Plans and applies wait for a person's terraform in the same stack instead of
// failing.
func TestWaitsForAPersonsLock(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-aaaaaaaa")
	g.apply(t, ws, 1)
	ws.Servers = nil
	for _, work := range []func() error{
		func() error { _, err := g.Plan(t.Context(), ws); return err },
		func() error { _, err := g.Apply(t.Context(), ws, 1, func(state.ApplyEvent) {}); return err },
	} {
		answer := personAsks(t, g, "s1")
		ended := make(chan error, 1)
		go func() { ended <- work() }()
		select {
		case err := <-ended:
			t.Errorf("it did not wait for the lock: %v", err)
			answer()
			continue
		case <-time.After(2 * time.Second):
		}
		answer()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
