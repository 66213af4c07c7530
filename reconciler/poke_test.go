package reconciler_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"hangar/reconciler"
	"hangar/state"
)

// nothing is what records hold of which nothing is asked.
type nothing struct{ reconciler.Records }

func (nothing) Snapshot(context.Context, time.Time) (state.Snapshot, error) {
	return state.Snapshot{}, nil
}

func (nothing) Commit(context.Context, state.Changes) error { return nil }

// A poke is followed at once; a burst of them reads the queue at most every
// Gap, and what came last in it is not lost.
func TestPokesCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		r := reconciler.New(q, nothing{}, state.Roster{Pools: []state.Pool{{Name: "default"}}})
		r.Interval = time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		reads := func() int {
			synctest.Wait()
			q.mu.Lock()
			defer q.mu.Unlock()
			return q.reads
		}
		time.Sleep(time.Minute)
		if n := reads(); n != 1 {
			t.Fatalf("%d reads before the first poke, want 1", n)
		}
		r.Poke()
		if n := reads(); n != 2 {
			t.Errorf("%d reads right after a poke, want 2", n)
		}
		for range 1000 { // a second long
			r.Poke()
			time.Sleep(time.Millisecond)
		}
		if n := reads(); n < 11 || n > 13 {
			t.Errorf("%d reads after a burst of a second, want one every 100 ms", n)
		}
		before := reads()
		r.Poke()
		time.Sleep(r.Gap)
		if n := reads(); n != before+1 {
			t.Errorf("the last poke of a burst is followed by %d reads, want 1", n-before)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
