package reconciler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"hangar/state"
)

// view is everything from which a sweep judges: what each provider account
// shows, and what the records say right after. It is a value; judging it is
// pure.
type view struct {
	areas    []area
	servers  []state.Server         // all but the stopped ones
	stacks   map[string]state.Stack // those that may have devices
	scopes   map[string]string      // of the stacks
	busy     map[string]bool        // stacks with a run under way
	earlier  []state.Finding
	takeover bool            // what is found now may have been there before these records were
	since    time.Time       // of a takeover: when a sweep first saw everything
	held     map[string]bool // devices that were ever held for a person's decision
	wish     wish

	instance string
	confirm  time.Duration
	began    time.Time // when the first census began
	pools    []state.Pool
}

// area is what one provider account shows.
type area struct {
	scope    string
	template state.Stack   // of the first pool that makes servers there
	others   []state.Stack // of the other pools and places
	found    []state.Found
	err      error // why it could not be looked at
}

// conclusions collects what a sweep concludes.
type conclusions struct {
	state.Changes
	looks map[string]bool // stacks to be looked at
	held  []adoptee
}

// adoptee is a device that a person wants taken over.
type adoptee struct {
	found state.Found
	area  area
}

// judge says what is wrong, what is done about it, and which stacks are to be
// looked at. An area that could not be read, or shows something implausible,
// changes nothing.
func (v view) judge() (state.Changes, []string) {
	c := &conclusions{looks: make(map[string]bool)}
	c.Swept = true
	for _, a := range v.areas {
		doubt, told := v.doubt(a)
		if told {
			c.find(doubt)
		}
		if told && doubt.Action != believed {
			c.Swept = false
			continue
		}
		v.judgeArea(c, a)
	}
	v.adopt(c)
	c.TakenOver = c.Swept && v.takeover && !v.since.IsZero() && v.began.Sub(v.since) >= takeoverTime(v.confirm)
	looks := make([]string, 0, len(c.looks))
	for stack := range c.looks {
		looks = append(looks, stack)
	}
	slices.Sort(looks)
	return c.Changes, looks
}

// takeoverTime is how long after the first sweep that saw everything another one
// has to see it, too, before what is found counts as new: one list may have
// shown nothing. It is short, since what is held is not removed.
func takeoverTime(confirm time.Duration) time.Duration { return min(confirm/10, 5*time.Second) }

func (c *conclusions) find(f state.Finding) { c.Findings = append(c.Findings, f) }

// trouble is why a sweep could not look everywhere; empty: it could.
func (v view) trouble() string {
	var words []string
	for _, a := range v.areas {
		if doubt, told := v.doubt(a); told && doubt.Action != believed {
			words = append(words, doubt.Detail)
		}
	}
	return strings.Join(words, "; ")
}

// believed is what is done about a list that has shown too little for a long
// time.
const believed = "it has stayed so, and is believed"

// doubt says why nothing may be concluded from an area, if so. Most of what is
// known suddenly absent, or nothing at all there, is more likely a fault of the
// list than of the machines; unless it stays so for a long time.
func (v view) doubt(a area) (finding state.Finding, told bool) {
	finding = state.Finding{Kind: state.Unreadable, Server: a.template.Provider, Action: "nothing is concluded; it is looked at again"}
	if a.err != nil {
		finding.Detail = a.err.Error()
		return finding, true
	}
	there := a.byID()
	expected, absent := 0, 0
	for _, s := range v.servers {
		if v.scopes[s.Stack] != a.scope || !v.expected(s) {
			continue
		}
		expected++
		if _, ok := there[s.ID]; !ok {
			absent++
		}
	}
	if absent == 0 || 2*absent <= expected {
		return finding, false
	}
	finding.Kind = state.Implausible
	finding.Detail = fmt.Sprintf("the provider's list is implausible: %d of %d known devices are absent from it", absent, expected)
	if until := v.firstSeen(finding).Add(patienceWithLists * v.confirm); v.began.Before(until) {
		finding.Action = "nothing is concluded; should it stay so, it is believed from " + until.UTC().Format("2006-01-02 15:04 UTC") + " on"
	} else {
		finding.Action = believed
	}
	return finding, true
}

// patienceWithLists is for how many times the time to confirm a list that shows
// too little is not believed. Its machines drain all the same.
const patienceWithLists = 30

func (a area) byID() map[string]state.Found {
	there := make(map[string]state.Found, len(a.found))
	for _, f := range a.found {
		if f.State != state.FoundLeaving {
			there[f.ID] = f
		}
	}
	return there
}

// expected says whether the provider's list ought to show a server's device:
// it was there before the census began, and nothing is being done to it.
func (v view) expected(s state.Server) bool {
	switch s.Phase {
	case state.Created, state.Staging, state.Running, state.Shutdown, state.Failed:
		return s.ID != "" && s.Absent == "" && s.Doubt.IsZero() && s.Updated.Before(v.began) && !v.busy[s.Stack]
	}
	return false
}

func (v view) judgeArea(c *conclusions, a area) {
	owner := make(map[string]state.Server)
	byName := make(map[string]state.Server)
	for _, s := range v.servers {
		byName[s.Name] = s
		if s.ID != "" {
			owner[s.ID] = s
		}
	}
	for _, f := range a.found {
		s, known := owner[f.ID]
		named, taken := byName[f.Server]
		switch {
		case known:
			v.judgeKnown(c, s, f, byName)
		case f.Instance != v.instance, f.State == state.FoundLeaving: // not ours, or gone
		case taken && f.Stack == v.tag(named):
			if v.busy[named.Stack] {
				continue // it is being made
			}
			c.looks[named.Stack] = true
			if named.ID != "" {
				c.find(state.Finding{
					Kind: state.Duplicate, Device: f.ID, Server: f.Server, Stack: f.Stack, Address: f.Address,
					Detail: "a second device of server " + f.Server, Action: "its stack is looked at",
				})
			}
		default:
			v.judgeOrphan(c, a, f)
		}
	}
	there := a.byID()
	for _, s := range v.servers {
		if v.scopes[s.Stack] == a.scope {
			_, found := there[s.ID]
			v.judgeServer(c, s, found)
		}
	}
}

// tag is what the tag hangar-stack of a server's device says.
func (v view) tag(s state.Server) string { return cmp.Or(v.stacks[s.Stack].Tag, s.Stack) }

// judgeKnown judges a device that a server is known to have.
func (v view) judgeKnown(c *conclusions, s state.Server, f state.Found, byName map[string]state.Server) {
	if s.Booting() && f.State != state.FoundBooting && !v.busy[s.Stack] {
		c.looks[s.Stack] = true // which its stack has missed
	}
	if s.Machine != "" && s.Condemned {
		kind := state.Orphan
		if _, there := byName[s.Machine]; there {
			kind = state.Duplicate
		}
		c.find(state.Finding{Kind: kind, Device: f.ID, Server: s.Machine, Stack: f.Stack, Address: f.Address, Detail: s.Reason, Action: "destroyed as server " + s.Name})
		return
	}
	if f.State == state.FoundFailed && s.Phase.Usable() && !v.busy[s.Stack] {
		c.looks[s.Stack] = true
	}
	var drift []string
	differs := func(what, is, was string) {
		if is != was {
			drift = append(drift, fmt.Sprintf("its %s is %q, was %q", what, is, was))
		}
	}
	differs("tag hangar-instance", f.Instance, v.instance)
	differs("tag hangar-stack", f.Stack, v.tag(s))
	differs("tag hangar-server", f.Server, s.Runner())
	if f.Hostname != "" {
		differs("host name", f.Hostname, s.Runner())
	}
	if taken := f.Instance != v.instance; taken != s.Taken {
		to := state.Seen(s)
		to.Taken = taken
		c.Sightings = append(c.Sightings, to)
	}
	if len(drift) > 0 {
		c.find(state.Finding{
			Kind: state.Drifted, Device: f.ID, Server: s.Name, Stack: s.Stack, Address: f.Address,
			Detail: "changed by hand: " + strings.Join(drift, ", "), Action: "left alone; put it back, or the device cannot be found again should the state be lost",
		})
	}
}

// judgeServer judges a server by whether its device is in the list.
func (v view) judgeServer(c *conclusions, s state.Server, found bool) {
	to := state.Seen(s)
	switch {
	case found && s.Absent == state.Missing && s.Phase != state.Stopping:
		to.Absent, to.Reason = "", "its device is there again; another has taken its place"
		if s.Phase == state.Failed { // in no state: its stack adopts it
			c.looks[s.Stack] = true
		}
		c.Sightings = append(c.Sightings, to)
	case found, v.busy[s.Stack]:
	case s.Phase == state.Failed && (s.Absent == state.Lost || s.Absent == state.Missing) && s.Updated.Before(v.began) && !c.looks[s.Stack]:
		to.To, to.Reason = state.Stopped, s.Reason+"; a sweep has not found it either"
		c.Sightings = append(c.Sightings, to)
	case !v.expected(s):
	default:
		first := v.firstSeen(state.Finding{Kind: state.Gone, Device: s.ID, Server: s.Name})
		f := state.Finding{
			Kind: state.Gone, Device: s.ID, Server: s.Name, Stack: s.Stack, Address: s.Address,
			Detail: "the provider no longer shows its device", Action: "to be confirmed by another sweep",
		}
		if v.began.Sub(first) >= v.confirm {
			f.Action = "the server leaves when no stage is on it; another takes its place at once"
			v.depart(c, to)
		}
		c.find(f)
	}
}

// depart lets a server go whose device is gone. It drains all the same: should
// the list be wrong, no build is killed.
func (v view) depart(c *conclusions, to state.Sighting) {
	if to.Seen.Phase == state.Failed {
		c.looks[to.Seen.Stack] = true
		return
	}
	to.To, to.Absent, to.Condemned = state.Shutdown, state.Missing, true
	to.Reason = "its device is gone: the provider no longer shows it"
	to.Error = fmt.Sprintf("the provider no longer shows device %s, which nobody here has destroyed", to.Seen.ID)
	c.Sightings = append(c.Sightings, to)
}

// firstSeen is when a finding was first made; now, when it is new.
func (v view) firstSeen(f state.Finding) time.Time {
	for _, e := range v.earlier {
		if keyOf(e) == keyOf(f) {
			return e.First
		}
	}
	return v.began
}
