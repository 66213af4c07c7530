package replay

import (
	"math"
	"slices"
	"time"

	"hangar/reconciler/scale"
	"hangar/state"
)

// Policy decides what is to become of the servers.
type Policy func(scale.Observation, []state.Pool) state.Decision

// Autoscaler decides as drone/autoscaler does, by its documentation and its
// behaviour (https://autoscale.drone.io): for each pool, the capacity of all
// servers that there are, also of those that leave or are in error, less the stages
// that run and the buffer is what is free; for the pending ones beyond that servers are made, up to the
// maximum; where more is free than pending, so many servers leave, down to the
// minimum, the newest first, if they are idle and of the minimum age.
func Autoscaler(o scale.Observation, pools []state.Pool) state.Decision {
	d := state.Decision{At: o.At}
	load := map[string]int{}
	for _, s := range o.Stages {
		if s.Machine != "" {
			load[s.Machine]++
		}
	}
	for i := range pools {
		p := &pools[i]
		pending, running := 0, 0
		for _, s := range o.Stages {
			switch {
			case !scale.Matches(s, *p):
			case s.Machine != "":
				running++
			default:
				pending++
			}
		}
		var idle []*state.Server
		count, capacity := 0, 0
		for j := range o.Servers {
			s := &o.Servers[j]
			if s.Pool != p.Name {
				continue
			}
			switch empty := load[s.Name] == 0; {
			case empty && s.Phase == state.Shutdown:
				d.Servers = append(d.Servers, state.ServerDecision{Server: s.Name, Action: state.Stop, To: state.Stopping})
			case empty && s.Phase == state.Running && !o.At.Before(s.Created.Add(p.MinAge)):
				idle = append(idle, s)
			}
			count++
			capacity += s.Capacity
		}
		free := max(0, capacity-running-p.Buffer)
		short := int(math.Ceil(float64(pending-free) / float64(p.Concurrency)))
		switch {
		case count < p.Min:
			short = max(short, p.Min-count)
			fallthrough
		case short > 0:
			d.Pools = append(d.Pools, state.PoolDecision{Pool: p.Name, Create: max(0, min(short, p.Max-count))})
		case short < 0:
			slices.SortFunc(idle, func(a, b *state.Server) int { return b.Created.Compare(a.Created) })
			for _, s := range idle[:min(len(idle), -short, max(0, count-p.Min))] {
				d.Servers = append(d.Servers, state.ServerDecision{Server: s.Name, Action: state.Drain, To: state.Shutdown})
			}
		}
	}
	return d
}

// AutoscalerInterval is how often drone/autoscaler decides unless it is set.
const AutoscalerInterval = 5 * time.Minute
