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
	for name, value := range g.environment("packet") {
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

// A plan waits for a person's terraform in the same stack. An apply does not
// wait for long, since what was looked at before it must not grow old: it says
// that nothing began.
func TestAPersonsLock(t *testing.T) {
	g := newRig(t)
	ws := g.workspace("s1", "agent-aaaaaaaa")
	g.apply(t, ws, 1)
	ws.Servers = nil
	path := filepath.Join(g.Dir, "stacks", "s1", stateFile)
	if locked(path) {
		t.Error("the state is locked before anybody is at work on it")
	}
	answer := personAsks(t, g, "s1")
	if !locked(path) {
		t.Error("the state is not locked while a person's terraform is at work on it")
	}
	planned := make(chan error, 1)
	go func() { _, err := g.Plan(t.Context(), ws); planned <- err }()
	select {
	case err := <-planned:
		t.Errorf("the plan did not wait for the lock: %v", err)
	case <-time.After(3 * time.Second):
	}
	answer()
	if err := <-planned; err != nil {
		t.Fatal(err)
	}

	answer = personAsks(t, g, "s1")
	result, err := g.Apply(t.Context(), ws, 1, func(state.ApplyEvent) {})
	answer()
	if err == nil || !strings.Contains(err.Error(), "lock") || result.Begun {
		t.Errorf("apply: %v, begun %t", err, result.Begun)
	}
	g.apply(t, ws, 1)
	if n := len(g.world.Devices()); n != 0 {
		t.Errorf("%d devices are left", n)
	}
}
