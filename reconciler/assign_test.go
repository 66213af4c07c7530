package reconciler

import "testing"

// A burst makes few stacks, enough for the processors; small ones make one.
func TestStackSize(t *testing.T) {
	for _, tt := range []struct{ n, most, spread, want int }{
		{1, 100, 2, 25}, {25, 100, 2, 25}, {50, 100, 2, 25}, {100, 100, 2, 50}, {500, 100, 2, 100}, {500, 100, 8, 63}, {100, 100, 8, 25}, {100, 3, 2, 3}, {0, 100, 2, 25},
	} {
		r := New(nil, nil, nil)
		r.StackSize, r.Spread = tt.most, tt.spread
		if got := r.stackSize(tt.n); got != tt.want {
			t.Errorf("%d servers, at most %d in a stack, %d processors: %d, want %d", tt.n, tt.most, tt.spread, got, tt.want)
		}
	}
}
