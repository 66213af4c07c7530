package replay

import (
	"slices"

	"hangar/state"
)

// leadOf is how many of a pool's last machines tell how long the next one takes,
// as in the store.
const leadOf = 20

// learn gives pools the buffers that they are to learn, as the reconciler does.
func (r *replay) learn() {
	leads := make(map[string]state.Lead, len(r.leads))
	for pool, took := range r.leads {
		took = took[max(0, len(took)-leadOf):]
		r.leads[pool] = took
		sorted := slices.Sorted(slices.Values(took))
		leads[pool] = state.Lead{Median: state.Seconds(sorted[(len(sorted)-1)/2]), Of: len(sorted)}
	}
	r.arrivals.See(r.now, r.stages, r.roster.Pools, leads)
	r.roster.Pools = r.arrivals.Learn(r.now, r.roster.Pools, leads)
}
