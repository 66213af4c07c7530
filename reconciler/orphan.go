package reconciler

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"hangar/state"
)

// judgeOrphan judges a device of ours that no server is known to have.
func (v view) judgeOrphan(c *conclusions, a area, f state.Found) {
	finding := state.Finding{
		Kind: state.Orphan, Device: f.ID, Server: f.Server, Stack: f.Stack, Address: f.Address,
		Detail: "tagged as this installation's, and in no record",
	}
	finding.Held = v.takeover || v.held[f.ID]
	wish := v.wish
	if !v.held[f.ID] {
		wish = undecided // nobody has been shown it yet
	}
	switch {
	case finding.Held && wish == adopt && f.State != state.FoundFailed:
		c.held = append(c.held, adoptee{f, a})
		return
	case finding.Held && wish == undecided:
		finding.Action = "held: it was there before these records; hangar audit --adopt takes it over, --destroy removes it"
	case !finding.Held && v.began.Sub(v.firstSeen(finding)) < v.confirm:
		finding.Action = "to be confirmed by another sweep, then destroyed when no stage is on it"
	default:
		s, stack := v.remove(a, f)
		c.Stacks, c.Servers = append(c.Stacks, stack), append(c.Servers, s)
		finding.Held, finding.Action = false, "destroyed as server "+s.Name+" when no stage is on it"
	}
	c.find(finding)
}

// remove makes the recovery stack by which an orphan is destroyed.
func (v view) remove(a area, f state.Found) (state.Server, state.Stack) {
	template := a.template
	if known, ok := v.stacks[f.Stack]; ok {
		template = known
	}
	template.Tag = cmp.Or(f.Stack, "hangar-instance="+v.instance)
	pool := poolOf(v.pools, template)
	of := state.Server{Name: prefixOf(pool) + "12345678", Pool: template.Pool, Provider: template.Provider, Capacity: max(1, pool.Concurrency), Machine: f.Server}
	s, stack := recovery(double{of, f}, template, v.began)
	s.Machine = cmp.Or(f.Server, f.Hostname, s.Name)
	s.Reason = fmt.Sprintf("device %s (%s) is an orphan: in no record; it is destroyed when no stage is on it", f.ID, cmp.Or(f.Hostname, f.Server))
	return s, stack
}

// adopt rebuilds, under the tags of the devices, what lost records held.
func (v view) adopt(c *conclusions) {
	made := make(map[string]int) // stacks, by tag: place in c.Stacks
	named := make(map[string]bool)
	for _, s := range v.servers {
		named[s.Name] = true
	}
	for _, x := range c.held {
		f, template := x.found, x.area.made(x.found)
		pool := poolOf(v.pools, template)
		at, ok := made[f.Stack]
		if !ok {
			stack := template
			stack.Name, stack.Tag, stack.Generation, stack.Created = f.Stack, "", 1, v.began
			if _, taken := v.stacks[f.Stack]; taken || state.CheckHostname(f.Stack) != nil {
				stack.Name, stack.Tag = stack.Pool+"-"+random(8), cmp.Or(f.Stack, "hangar-instance="+v.instance)
			}
			at = len(c.Stacks)
			made[f.Stack] = at
			c.Stacks = append(c.Stacks, stack)
		}
		s := state.Server{
			Name: f.Server, Pool: pool.Name, Stack: c.Stacks[at].Name, Phase: state.Running, Provider: template.Provider,
			Capacity: max(1, pool.Concurrency), Created: v.began, Started: v.began,
			Device: state.Device{ID: f.ID, Address: f.Address, State: string(f.State)}, Reason: "adopted on a person's order",
		}
		for _, k := range pool.Candidates {
			if k.Name == template.Candidate {
				s.Price, s.Spec = k.Price, k.Spec
			}
		}
		if f.State == state.FoundBooting {
			s.Phase, s.Started = state.Created, time.Time{}
			c.Stacks[at].LookAt = v.began.Add(time.Second)
		}
		if named[f.Server] || state.CheckHostname(f.Server) != nil { // a double, or no name at all
			s.Name, s.Machine = prefixOf(pool)+random(8), f.Server
			s.Phase, s.Condemned = state.Shutdown, true
			s.Reason = fmt.Sprintf("device %s is a second one of server %s: it is destroyed when no stage is on it", f.ID, f.Server)
		}
		named[f.Server] = true
		c.Servers = append(c.Servers, s)
	}
}

// made is what a device was made after, as far as its tag tells: a stack's name
// begins with its pool's.
func (a area) made(f state.Found) state.Stack {
	for _, t := range append([]state.Stack{a.template}, a.others...) {
		if rest, ok := strings.CutPrefix(f.Stack, t.Pool+"-"); ok && !strings.Contains(rest, "-") {
			return t
		}
	}
	return a.template
}
