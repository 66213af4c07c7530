package reconciler

import (
	"cmp"
	"crypto/rand"
	"reflect"
	"slices"
	"time"

	"hangar/state"
)

// changes turns a decision into what the store is to commit: moves and marks
// of the servers that are there, and new servers in stacks.
func (r *Reconciler) changes(d state.Decision, roster state.Roster, snap state.Snapshot) state.Changes {
	c := state.Changes{At: d.At, Over: d.Over}
	if brief := d.Brief(); !brief.Same(snap.Last) {
		c.Decision = &brief
	}
	seen := make(map[string]state.Server, len(snap.Servers))
	for _, s := range snap.Servers {
		seen[s.Name] = s
	}
	for _, sd := range d.Servers {
		was := seen[sd.Server]
		if sd.Action != state.Keep {
			// What is broken never goes back to work.
			c.Moves = append(c.Moves, state.Move{Server: sd.Server, From: sd.Phase, To: sd.To, Reason: sd.Reason, Condemned: sd.Phase == state.Failed})
		}
		mark := state.Mark{Server: sd.Server, Phase: sd.Phase, Served: sd.Served, IdleSince: sd.IdleSince, QuietSince: sd.QuietSince}
		if sd.Action == state.Keep && drains(was) && sd.Reason != was.Reason {
			mark.Reason = sd.Reason // what it waits for
		}
		if mark.Reason != "" || was.Served != mark.Served || was.IdleSince != mark.IdleSince || was.QuietSince != mark.QuietSince {
			c.Marks = append(c.Marks, mark)
		}
	}
	for _, pd := range d.Pools {
		if pd.Create == 0 {
			continue
		}
		pool := roster.Pool(pd.Pool)
		candidate := pool.Candidates[slices.IndexFunc(pool.Candidates, func(k state.Candidate) bool { return k.Name == pd.Candidate })]
		stacks, servers := place(pool, candidate, pd.Create, r.stackSize(pd.Create), snap, d.At)
		for i := range servers {
			servers[i].Reason = pd.Reason
		}
		c.Stacks = append(c.Stacks, stacks...)
		c.Servers = append(c.Servers, servers...)
	}
	return c
}

// drains says whether a server is on its way out, so that its reason tells what
// it waits for.
func drains(s state.Server) bool { return s.Phase == state.Shutdown || s.Phase == state.Failed }

// smallStack is how many servers go into one stack before more are of use.
const smallStack = 25

// stackSize is how many of n new servers go into a stack: few stacks are planned and
// applied in less time, and with less memory, than many, but processors should not
// wait for one.
func (r *Reconciler) stackSize(n int) int {
	return min(r.StackSize, max(smallStack, (n+r.Spread-1)/r.Spread))
}

// place names n new servers and puts them into stacks of the candidate: first
// into open ones, whose preparation has not begun, then into as few new ones
// as size allows, filled evenly.
func place(pool state.Pool, k state.Candidate, n, size int, snap state.Snapshot, at time.Time) (stacks []state.Stack, servers []state.Server) {
	add := func(stack string, n int) {
		for range n {
			servers = append(servers, state.Server{
				Name: pool.NamePrefix + random(8), Pool: pool.Name, Stack: stack, Phase: state.Pending,
				Provider: k.Provider, Capacity: pool.Concurrency, Price: k.Price, Spec: k.Spec, Created: at, Updated: at,
			})
		}
	}
	taken := make(map[string]int)
	for _, s := range snap.Servers {
		taken[s.Stack]++
	}
	for _, open := range snap.Open {
		if open.Pool != pool.Name || open.Candidate != k.Name || open.Module != k.Module || !reflect.DeepEqual(open.Settings, k.Settings) {
			continue
		}
		room := min(n, max(0, size-taken[open.Name]))
		add(open.Name, room)
		n -= room
	}
	for left := (n + size - 1) / size; left > 0; left-- {
		share := (n + left - 1) / left
		stack := state.Stack{
			Name: cmp.Or(pool.Name, "pool") + "-" + random(8), Pool: pool.Name, Provider: k.Provider, Candidate: k.Name,
			Settings: k.Settings, Module: k.Module, Resource: k.Resource, Generation: 1, Created: at,
		}
		stacks = append(stacks, stack)
		add(stack.Name, share)
		n -= share
	}
	return stacks, servers
}

// random returns n characters of a to z and 2 to 7: five bits of entropy each.
func random(n int) string {
	text := []byte(rand.Text()[:n])
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c - 'A' + 'a'
		}
	}
	return string(text)
}
