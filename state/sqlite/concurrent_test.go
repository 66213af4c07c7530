package sqlite

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"hangar/state"
)

// The fast loop commits, several workers take stacks through their runs, and
// readers look on. In the end everything is as each was told, and no reader
// saw a server without the rest of its commit.
func TestFastLoopAndWorkers(t *testing.T) {
	const stacks, workers = 24, 4
	s := newStore(t)
	made := make(chan string, stacks)
	read := make(chan struct{})
	var loops, readers sync.WaitGroup
	loops.Go(func() {
		defer close(made)
		for n := range stacks {
			stack := fmt.Sprint("s", n)
			err := s.Commit(t.Context(), state.Changes{
				At: time.Now(), Stacks: []state.Stack{stackOf(stack)}, Decision: &state.Decision{},
				Servers: []state.Server{serverOf(stack+"-a", stack), serverOf(stack+"-b", stack)},
			})
			if err != nil {
				t.Error(err)
				return
			}
			made <- stack
		}
	})
	for range workers {
		loops.Go(func() {
			for stack := range made {
				if err := work(t, s, stack); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-read:
					return
				default:
				}
				snap, err := s.Snapshot(t.Context(), start)
				if err != nil || len(snap.Servers)%2 != 0 {
					t.Errorf("a snapshot of %d servers, %v", len(snap.Servers), err)
					return
				}
			}
		})
	}
	loops.Wait()
	close(read)
	readers.Wait()
	for _, server := range get(t, s.Servers) {
		if server.Phase != state.Shutdown || server.ID != "id-"+server.Name {
			t.Errorf("server %+v", server)
		}
	}
	due, err := s.Due(t.Context(), time.Now())
	must(t, err)
	wantEqual(t, "due", stackNames(due), []string{})
}

// work takes a stack through a run, while the fast loop drains its servers as
// soon as they run.
func work(t *testing.T, s *Store, stack string) error {
	ctx, now := t.Context(), time.Now
	run, ws, err := s.BeginRun(ctx, stack, now())
	if err != nil {
		return err
	}
	if err := s.Planned(ctx, run.ID, now(), state.Plan{JSON: []byte("{}")}, "passed"); err != nil {
		return err
	}
	if err := s.BeginApply(ctx, run.ID, now()); err != nil {
		return err
	}
	f := state.Finish{Run: run.ID, Phase: state.RunApplied, Applied: true, Outputs: map[string]state.Device{}}
	moves := []state.Move{}
	for _, server := range ws.Servers {
		d := deviceOf(server.Name)
		o := state.Outcome{Server: server.Name, Phase: state.Running, Device: &d}
		if err := s.Progress(ctx, server.Name, state.Progress{Action: "create"}, now()); err != nil {
			return err
		}
		if err := s.Advance(ctx, o, now()); err != nil {
			return err
		}
		f.Outputs[server.Name] = d
		f.Servers = append(f.Servers, o)
		moves = append(moves, state.Move{Server: server.Name, From: state.Running, To: state.Shutdown})
	}
	if err := s.Commit(ctx, state.Changes{At: now(), Moves: moves}); err != nil {
		return err
	}
	f.At = now()
	return s.Finish(ctx, f)
}

// Of two that build on the same knowledge, one is told that it is old.
func TestRacingMoves(t *testing.T) {
	s := newStore(t)
	grow(t, s, start, "s1", "a")
	var wg sync.WaitGroup
	results := make(chan error, 8)
	for range cap(results) {
		wg.Go(func() {
			results <- s.Commit(t.Context(), state.Changes{At: start, Moves: []state.Move{{Server: "a", From: state.Pending, To: state.Stopped}}})
		})
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
		} else if state.CodeOf(err) != state.Conflict {
			t.Error(err)
		}
	}
	if won != 1 || stackNow(t, s, "s1").Generation != 2 {
		t.Errorf("%d moves won; stack %+v", won, stackNow(t, s, "s1"))
	}
}
