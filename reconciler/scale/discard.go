package scale

import (
	"fmt"

	"hangar/state"
)

// Demand is the demand of a pool: of the stages in the queue, all that it may
// run, with a machine or without. It does not depend on the servers that there
// are.
func Demand(stages []state.Stage, pool state.Pool) state.Demand {
	d := state.Demand{Min: pool.Min, Buffer: pool.Buffer}
	if pool.LearnBuffer { // it follows from the stages, and changes with time alone
		d.Buffer = 0
	}
	for i := range stages {
		if matches(&stages[i], &pool) {
			d.Stages++
		}
	}
	return d
}

// discards is what people discarded and what is not asked for again yet.
type discards struct {
	creates map[string]*state.Discard // by pool
	servers map[string]*state.Discard // by server
	over    []state.Discard           // the others
}

// standing tells which discards still count: those of pools whose demand is what
// it was, where there is no pool any more none, and of servers that nothing else
// has taken from their work since.
func standing(o Observation, pools []state.Pool) discards {
	d := discards{creates: map[string]*state.Discard{}, servers: map[string]*state.Discard{}}
	if len(o.Discards) == 0 {
		return d
	}
	demand := make(map[string]state.Demand, len(pools))
	for _, p := range pools {
		demand[p.Name] = Demand(o.Stages, p)
	}
	phase := make(map[string]state.Phase, len(o.Servers))
	for i := range o.Servers {
		phase[o.Servers[i].Name] = o.Servers[i].Phase
	}
	for i := range o.Discards {
		discard := &o.Discards[i]
		is, there := demand[discard.Pool]
		switch now := phase[discard.Server]; {
		case is != discard.Demand, discard.Server == "" && !there:
			d.over = append(d.over, *discard)
		case discard.Server == "":
			d.creates[discard.Pool] = discard
		case now == "", now == state.Stopped, now == state.Shutdown, now == state.Failed:
			d.over = append(d.over, *discard)
		default:
			d.servers[discard.Server] = discard
		}
	}
	return d
}

// stays is why a server whose destruction a person discarded is not asked to
// leave.
func (m *member) stays() string {
	return fmt.Sprintf("stays: %s discarded its destruction at %s, and the demand has not changed since", m.spared.By, clock(m.spared.At))
}
