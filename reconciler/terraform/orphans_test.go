package terraform

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hangar/state"
)

// mine are the provider processes that were started for a rig.
func (g *rig) mine() (pids []string) {
	ours := []byte("TF_CLI_CONFIG_FILE=" + g.configFile())
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if isProvider(dir) && startedWith(dir, ours) {
			pids = append(pids, filepath.Base(dir))
		}
	}
	return pids
}

// A provider whose terraform is gone is ended; one at work, and one of another
// data folder, is not.
func TestEndOrphans(t *testing.T) {
	g := newRigIn(t, need(t, "terraform"), time.Hour)
	other := newRigIn(t, need(t, "terraform"), time.Hour)
	ws := g.workspace("s1", "agent-a")
	if _, err := g.Plan(t.Context(), ws); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.Apply(t.Context(), ws, 1, func(state.ApplyEvent) {}) // is killed in the end
	}()
	for deadline := time.Now().Add(20 * time.Second); g.world.Stats().Created == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no device is awaited")
		}
	}
	atWork := g.mine()
	if len(atWork) != 1 {
		t.Fatalf("%d providers run", len(atWork))
	}
	// What a killed terraform leaves waits for a client that never comes.
	orphan := func(g *rig) *exec.Cmd {
		programs, err := filepath.Glob(filepath.Join(mirror, "*", "*", "*", "*", "*", "terraform-provider-*"))
		if err != nil || len(programs) != 1 {
			t.Fatalf("providers %v, %v", programs, err)
		}
		cmd := exec.Command(programs[0])
		cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+g.configFile(),
			"TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2") // terraform's
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil { // it is ready
			t.Fatal(err)
		}
		return cmd
	}
	left, foreign := orphan(g), orphan(other)
	defer func() { foreign.Process.Kill(); foreign.Wait() }()
	if n, err := g.EndOrphans(); n != 1 || err != nil {
		t.Errorf("%d orphans ended, %v", n, err)
	}
	left.Wait()
	if pids := g.mine(); len(pids) != 1 || pids[0] != atWork[0] {
		t.Errorf("at work are %v, were %v", pids, atWork)
	}
	if len(other.mine()) != 1 {
		t.Error("the provider of another data folder was ended")
	}
	terraform, err := os.FindProcess(parentOf(filepath.Join("/proc", atWork[0])))
	if err != nil {
		t.Fatal(err)
	}
	if err := terraform.Kill(); err != nil {
		t.Fatal(err)
	}
	<-done
	if _, err := g.EndOrphans(); err != nil {
		t.Error(err)
	}
}
