package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hangar/state"
)

// committerVariable names the database in a process that is there to be
// killed.
const committerVariable = "HANGAR_TEST_COMMITTER"

// committer commits and tells of each commit once it is done, until it is
// killed: a stack with a server, and the beginning of its apply.
func committer(path string) {
	ctx := context.Background()
	s, err := Open(ctx, path)
	for n := 0; err == nil; n++ {
		stack := fmt.Sprintf("%d-%d", os.Getpid(), n)
		err = s.Commit(ctx, state.Changes{
			At: time.Now(), Stacks: []state.Stack{stackOf(stack)}, Servers: []state.Server{serverOf("in-"+stack, stack)},
			Decision: &state.Decision{At: time.Now(), Pools: []state.PoolDecision{{Pool: "default", Reason: stack}}},
		})
		if err != nil {
			break
		}
		fmt.Println("committed", stack)
		var run state.Run
		if run, _, err = s.BeginRun(ctx, stack, time.Now()); err != nil {
			break
		}
		if err = s.Planned(ctx, run.ID, time.Now(), state.Plan{Text: stack, JSON: []byte("{}")}, "passed"); err != nil {
			break
		}
		if err = s.BeginApply(ctx, run.ID, time.Now()); err != nil {
			break
		}
		fmt.Println("applying", stack)
	}
	fmt.Println("failed", err)
	os.Exit(1)
}

// What a method returned nil for is still there after a kill; what it had not
// returned for is there whole or not at all.
func TestCommitsSurviveAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "database.sqlite")
	want := map[string]state.Phase{}
	for round := range 4 {
		for server, phase := range killed(t, path, 20+13*round) {
			want[server] = phase
		}
		s := openAt(t, path)
		got := get(t, s.Servers)
		for _, server := range got {
			told, ok := want[server.Name]
			delete(want, server.Name)
			if !ok { // committed, but killed before it was told
				told = state.Pending
			}
			if server.Phase != told && !(told == state.Pending && server.Phase == state.Creating) {
				t.Errorf("server %s is %s after the kill, was told to be %s", server.Name, server.Phase, told)
			}
		}
		if len(want) > 0 {
			t.Fatalf("lost by the kill: %v", want)
		}
		stacks, decisions := get(t, s.Stacks), func() []state.Decision {
			d, err := s.Decisions(t.Context(), 0, 1<<20)
			must(t, err)
			return d
		}()
		if len(stacks) != len(got) || len(decisions) != len(got) {
			t.Errorf("%d servers, %d stacks and %d decisions; they were committed together", len(got), len(stacks), len(decisions))
		}
		for _, server := range got {
			want[server.Name] = server.Phase
		}
		must(t, s.Close())
	}
}

// killed runs a committer until it has told of so many commits, kills it, and
// returns the phases of the servers that it told of.
func killed(t *testing.T, path string, lines int) map[string]state.Phase {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), committerVariable+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	told := map[string]state.Phase{}
	scan := bufio.NewScanner(out)
	for n := 1; scan.Scan(); n++ {
		var what, stack string
		fmt.Sscan(scan.Text(), &what, &stack)
		switch what {
		case "committed":
			told["in-"+stack] = state.Pending
		case "applying":
			told["in-"+stack] = state.Creating
		default:
			t.Errorf("the committer says %q", scan.Text())
		}
		if n == lines {
			must(t, child.Process.Kill())
		}
	}
	if err := child.Wait(); child.ProcessState.ExitCode() != -1 {
		t.Fatalf("the committer ended by itself: %v", err)
	}
	if len(told) < lines/2 {
		t.Fatalf("the committer told of %d servers in %d lines", len(told), lines)
	}
	return told
}
