package reconciler

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// A pool with one stack is not behind the twenty of another one.
func TestTurnsGoRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places := newTurns(2)
		var mu sync.Mutex
		var order []string
		places.take(t.Context(), "a")
		places.take(t.Context(), "a")
		for _, one := range []string{"a1", "a2", "a3", "b1", "b2", "c1"} {
			go func() {
				if places.take(t.Context(), one[:1]) {
					mu.Lock()
					order = append(order, one)
					mu.Unlock()
				}
			}()
			synctest.Wait()
		}
		for range 6 {
			places.give()
			synctest.Wait()
		}
		if got, want := strings.Join(order, " "), "a1 b1 c1 a2 b2 a3"; got != want {
			t.Errorf("in the order %s, want %s", got, want)
		}
		places.give()
		places.give()
		if places.free != 2 || len(places.waiting) != 0 {
			t.Errorf("in the end %d places are free and %d pools wait", places.free, len(places.waiting))
		}
	})
}

// Who gives up waiting takes nobody's place with it, also when its turn comes at
// that moment.
func TestTurnsOfThoseWhoLeave(t *testing.T) {
	for range 200 {
		places := newTurns(1)
		places.take(t.Context(), "a")
		var work sync.WaitGroup
		var mu sync.Mutex
		var taken []string
		ctx, cancel := context.WithCancel(t.Context())
		for _, pool := range []string{"a", "b", "a"} {
			work.Go(func() {
				if places.take(ctx, pool) {
					mu.Lock()
					taken = append(taken, pool)
					mu.Unlock()
					places.give()
				}
			})
		}
		go cancel()
		places.give()
		work.Wait()
		if places.free != 1 || len(places.waiting) != 0 {
			t.Fatalf("%d places are free, %d pools wait, taken by %v", places.free, len(places.waiting), taken)
		}
	}
}
