package reconciler

import (
	"cmp"
	"fmt"
	"maps"
	"time"

	"hangar/state"
)

// changes makes of a judgement what the store is to commit.
func (sc scene) changes(j judgement, retryAt time.Time) state.Changes {
	c := state.Changes{At: sc.began, Sightings: j.sightings}
	stack := sc.sight.Stack
	look := state.Look{
		Seen: stack, Run: sc.sight.Run.ID, RunPhase: sc.sight.Run.Phase,
		Clean: !sc.applying, Raise: j.raise, Settled: j.verified && !j.undone, Next: sc.next(j),
	}
	if j.undone {
		look.Failed, look.RetryAt = true, retryAt
	}
	if !sc.applying && !maps.Equal(sc.inState, sc.sight.InState) {
		look.Outputs, look.Raise = sc.inState, true
	}
	c.Looks = []state.Look{look}
	for _, d := range j.doubles {
		s, r := recovery(d, stack, sc.began)
		c.Stacks, c.Servers = append(c.Stacks, r), append(c.Servers, s)
		c.Findings = append(c.Findings, state.Finding{
			Kind: state.Duplicate, Device: d.found.ID, Server: d.of.Runner(), Stack: cmp.Or(stack.Tag, stack.Name), Address: d.found.Address,
			Detail: fmt.Sprintf("a second device of server %s", d.of.Runner()), Action: fmt.Sprintf("destroyed as server %s when no stage is on it", s.Name),
		})
	}
	return c
}

// next is when to look again: soon while something is open, less often the
// longer it has been, and once more when the settle time is over.
func (sc scene) next(j judgement) time.Time {
	until := sc.sight.Stack.LookUntil
	elapsed := sc.began.Sub(until.Add(-sc.settle))
	soon := sc.began.Add(max(sc.settle/60, min(elapsed/2, sc.settle/6)))
	switch {
	case j.open && sc.began.Before(until):
		return earlier(soon, until)
	case j.open:
		return soon
	case sc.began.Before(until):
		return until
	}
	return time.Time{}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// recovery makes the stack, and the server in it, by which a double is
// destroyed: its name is taken in its own stack.
func recovery(d double, of state.Stack, at time.Time) (state.Server, state.Stack) {
	stack := of
	stack.Name, stack.Tag, stack.Generation = of.Pool+"-"+random(8), cmp.Or(of.Tag, of.Name), 1
	stack.Created, stack.LookAt, stack.LookUntil = at, time.Time{}, time.Time{}
	if d.found.State == state.FoundBooting {
		stack.LookAt = at.Add(time.Second)
	}
	return state.Server{
		Name: sibling(d.of.Name), Pool: d.of.Pool, Stack: stack.Name, Phase: state.Shutdown, Machine: d.of.Runner(),
		Provider: d.of.Provider, Capacity: d.of.Capacity, Condemned: true, Created: at, Started: at,
		Device: state.Device{ID: d.found.ID, Address: d.found.Address, State: string(d.found.State)},
		Reason: fmt.Sprintf("device %s is a second one of server %s: it is destroyed when no stage is on it", d.found.ID, d.of.Runner()),
	}, stack
}

// sibling is a new name that begins as a server's does.
func sibling(name string) string {
	const drawn = 8
	return name[:max(0, len(name)-drawn)] + random(drawn)
}
