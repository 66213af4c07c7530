package reconciler

import (
	"context"
	"slices"
	"sync"
)

// turns are the places for work of one kind. Who waits for one gets it in turn
// with the other pools that wait, however much work each of them has; within a
// pool, who came first is first.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting []poolQueue // of the pools with work that waits; the next one first
}

// poolQueue is the work of one pool that waits.
type poolQueue struct {
	pool  string
	heads []chan struct{} // closed when its turn has come; never empty
}

func newTurns(places int) *turns { return &turns{free: places} }

// take waits for a place; it reports false when ctx ends first.
func (t *turns) take(ctx context.Context, pool string) bool {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return true
	}
	mine := make(chan struct{})
	if i := slices.IndexFunc(t.waiting, func(q poolQueue) bool { return q.pool == pool }); i >= 0 {
		t.waiting[i].heads = append(t.waiting[i].heads, mine)
	} else {
		t.waiting = append(t.waiting, poolQueue{pool, []chan struct{}{mine}})
	}
	t.mu.Unlock()
	select {
	case <-mine:
		return true
	case <-ctx.Done():
	}
	if !t.leave(mine) { // its turn came at the same moment
		t.give()
	}
	return false
}

// leave gives up waiting; it reports false when the turn has come already.
func (t *turns) leave(mine chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, q := range t.waiting {
		if n := slices.Index(q.heads, mine); n >= 0 {
			t.waiting[i].heads = slices.Delete(q.heads, n, n+1)
			if len(t.waiting[i].heads) == 0 {
				t.waiting = slices.Delete(t.waiting, i, i+1)
			}
			return true
		}
	}
	return false
}

// give returns a place, to the next pool that waits.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.free++
		return
	}
	next := t.waiting[0]
	t.waiting = t.waiting[1:]
	close(next.heads[0])
	if next.heads = next.heads[1:]; len(next.heads) > 0 {
		t.waiting = append(t.waiting, next) // after all others
	}
}
