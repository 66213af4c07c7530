package scale

import (
	"fmt"
	"time"

	"hangar/state"
)

// member is a server as this decision sees it.
type member struct {
	server   *state.Server
	load     int         // stages on it
	phase    state.Phase // in which the decision leaves it
	decision state.ServerDecision
}

// phaseAfter is where each action leaves a server.
var phaseAfter = map[state.Action]state.Phase{
	state.Drain:  state.Shutdown,
	state.Revive: state.Running,
	state.Stop:   state.Stopping,
	state.Drop:   state.Stopped,
}

// muster returns the servers that are not stopped, in the order of the
// observation, with the stages on them counted and with what follows from a
// person's wish alone already decided.
func muster(o Observation) []*member {
	load := make(map[string]int, len(o.Servers))
	for i := range o.Stages {
		if machine := o.Stages[i].Machine; machine != "" {
			load[machine]++
		}
	}
	members := make([]*member, 0, len(o.Servers))
	for i := range o.Servers {
		s := &o.Servers[i]
		if s.Phase == state.Stopped {
			continue
		}
		m := &member{server: s, load: load[s.Runner()], phase: s.Phase}
		m.decision = state.ServerDecision{Server: s.Name, Pool: s.Pool, Phase: s.Phase, Action: state.Keep}
		m.mark(o.At)
		m.obey()
		members = append(members, m)
	}
	return members
}

// mark notes what this read of the queue shows of the server.
func (m *member) mark(at time.Time) {
	m.decision.Served = m.server.Served
	if m.load > 0 {
		m.decision.Served = first(m.server.Served, at)
		return // neither idle nor quiet
	}
	switch m.server.Phase {
	case state.Running:
		m.decision.IdleSince = first(m.server.IdleSince, at)
	case state.Shutdown, state.Failed:
		m.decision.QuietSince = first(m.server.QuietSince, at)
	}
}

// first is the time at which something was first seen: known, if it is, or now.
func first(known, now time.Time) time.Time {
	if known.IsZero() {
		return now
	}
	return known
}

// obey decides what a person asked for, whatever the demand. A condemned
// server whose create is under way has to wait: what becomes of its device is
// not known yet.
func (m *member) obey() {
	s := m.server
	switch {
	case s.Phase == state.Stopping:
	case s.Phase == state.Pending && m.dismissed():
		m.act(state.Drop, "asked to leave before its create began")
	case s.Forced:
		m.act(state.Stop, "forced to leave, whatever runs on it")
	case s.Condemned && s.Phase == state.Failed && s.Absent != "":
		m.act(state.Stop, "asked to leave: looked for once more")
	case s.Condemned && (s.Phase == state.Created || s.Phase == state.Staging || s.Phase == state.Running):
		m.act(state.Drain, "asked to leave")
	}
}

// dismissed says whether a person asked for the server to leave. It is no
// longer capacity and never put back to work.
func (m *member) dismissed() bool { return m.server.Condemned || m.server.Forced }

// usable says whether the decision leaves the server as capacity.
func (m *member) usable() bool { return m.phase.Usable() && !m.dismissed() }

// spare says whether the server drains, but could be put back to work.
func (m *member) spare() bool { return m.phase == state.Shutdown && !m.dismissed() }

// billed says whether the decision leaves the server counting against the
// maximum.
func (m *member) billed() bool {
	after := *m.server
	after.Phase = m.phase
	return after.Billed()
}

// broken says whether the server's device exists, but is of no use.
func (m *member) broken() bool {
	s := m.server
	return m.phase == state.Failed && s.ID != "" && s.Absent == "" && s.Doubt.IsZero()
}

// free is how many stages more the server can take. A server may hold more
// than its capacity; that is no debt of its pool's.
func (m *member) free() int { return max(0, m.server.Capacity-m.load) }

func (m *member) act(a state.Action, reason string) {
	m.decision.Action, m.decision.Reason = a, reason
	m.phase = phaseAfter[a]
}

func (m *member) keep(reason string) { m.decision.Reason = reason }

// conclude stops a server that has drained, and gives a reason to every server
// that has none so far. The fleet is nil when the pool is not configured.
func (m *member) conclude(at time.Time, f *fleet) {
	if m.decision.Reason != "" {
		return
	}
	if m.phase == state.Shutdown || m.broken() {
		m.watch(at)
		return
	}
	if f == nil {
		m.keep(fmt.Sprintf("kept: pool %s is not configured", m.server.Pool))
		return
	}
	m.keep(m.standing())
}

// watch lets a draining server go when this read of the queue and an earlier
// one, and so presumably every one between them, show no stage on it. One read
// is not enough: its runner may be about to accept a stage.
func (m *member) watch(at time.Time) {
	quiet := m.decision.QuietSince
	switch {
	case m.load > 0:
		m.keep(fmt.Sprintf("drains: %s still on it", count(m.load, "stage")))
	case at.After(quiet):
		m.act(state.Stop, "drained: no stage on it since "+clock(quiet))
	default:
		m.keep(fmt.Sprintf("drains: no stage on it since %s, to be seen once more", clock(quiet)))
	}
}

// standing is why a server that nothing is decided of is as it is.
func (m *member) standing() string {
	if m.dismissed() && m.server.Phase != state.Stopping {
		return "asked to leave, but " + m.progress()
	}
	return m.progress()
}

func (m *member) progress() string {
	switch m.server.Phase {
	case state.Pending:
		return "waits for its create to begin"
	case state.Creating:
		return "its create is under way"
	case state.Created, state.Staging:
		return "its device is being set up"
	case state.Running:
		return fmt.Sprintf("busy: %s of %d on it", count(m.load, "stage"), m.server.Capacity)
	case state.Failed:
		return m.trouble()
	}
	if m.server.Absent == "" && m.server.Booting() {
		return "its device is to be destroyed, which its provider allows once it has booted"
	}
	return "its device is to be destroyed"
}

// trouble is what is known of the device of a server in error.
func (m *member) trouble() string {
	switch m.server.Absent {
	case state.Refused:
		return "in error: the provider refused to create it; its name is watched until the settle time is over"
	case state.Lost:
		return "in error: no device of it was found; it counts no longer"
	case state.Missing:
		return "in error: its device is gone; it counts no longer"
	}
	return "in error: no capacity, but it counts against the maximum until it is known what became of its device"
}

// count is a number of things, in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// clock is an instant as reasons tell it. Reasons name instants, never spans,
// so that they stay the same from one decision to the next.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
