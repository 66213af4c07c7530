package replay

import (
	"slices"
	"time"

	"hangar/state"
)

// Pools tells which pools there are at an instant.
type Pools interface {
	At(t time.Time) state.Roster
}

// Setup is what a trace is replayed with.
type Setup struct {
	Name      string
	Policy    Policy
	Pools     Pools
	Scheduled bool          // the pools change with the time of day
	Interval  time.Duration // between reads of the queue
	Always    bool          // the policy may decide otherwise although nothing has happened
	Machines  Machines
}

// Machines is what machines are like.
type Machines struct {
	Boot   []time.Duration // from the order until builds run; each machine draws one of them
	Fail   float64         // share of machines that fail instead, when they have taken that long
	Billed time.Duration   // what is paid for is begun anew after so long; 0: by the second
	Seed   uint64          // of the draws
}

// Changed are pools of which something is different.
type Changed struct {
	Pools
	Change func(*state.Pool)
}

// At implements Pools.
func (c Changed) At(t time.Time) state.Roster {
	roster := c.Pools.At(t)
	roster.Pools = slices.Clone(roster.Pools)
	for i := range roster.Pools {
		c.Change(&roster.Pools[i])
	}
	return roster
}
