package reconciler

import (
	"context"
	"fmt"
	"time"

	"hangar/reconciler/scale"
	"hangar/state"
)

// Explain observes as a pass does, and says what the pass would decide and why.
// It changes nothing. The error is Unavailable when Drone does not answer.
func (r *Reconciler) Explain(ctx context.Context) (state.Explanation, error) {
	at := r.Now().UTC().Truncate(time.Microsecond)
	stages, err := r.Queue.Queue(ctx)
	if err != nil {
		return state.Explanation{}, fmt.Errorf("read the build queue: %w", err)
	}
	snap, err := r.Records.Snapshot(ctx, at)
	if err != nil {
		return state.Explanation{}, fmt.Errorf("read the records: %w", err)
	}
	leads, err := r.Records.Leads(ctx)
	if err != nil {
		return state.Explanation{}, fmt.Errorf("read the records: %w", err)
	}
	roster := r.Pools.At(at)
	r.mu.Lock()
	defer r.mu.Unlock()
	roster.Pools = r.arrivals.Learn(at, roster.Pools, leads)
	return scale.Explain(r.observation(at, stages, roster, snap), roster.Pools, leads), nil
}
