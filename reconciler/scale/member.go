package scale

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hangar/state"
)

// member is a server as this decision sees it.
type member struct {
	server   *state.Server
	load     int            // stages on it
	stages   []int64        // their ids, when it drains
	ssh      bool           // whether its runner was, or will be, told to take no more work
	spared   *state.Discard // a person discarded its destruction; nil: nobody did
	outdated bool           // its pool would not make it like this any more
	phase    state.Phase    // in which the decision leaves it
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
// person's wish alone already decided; and how many stages each machine holds.
func muster(o Observation, kept discards) (members []*member, load map[string]int) {
	load = make(map[string]int, len(o.Servers))
	for i := range o.Stages {
		if machine := o.Stages[i].Machine; machine != "" {
			load[machine]++
		}
	}
	draining := stagesOf(o)
	members = make([]*member, 0, len(o.Servers))
	for i := range o.Servers {
		s := &o.Servers[i]
		if s.Phase == state.Stopped {
			continue
		}
		m := &member{server: s, load: load[s.Runner()], stages: draining[s.Runner()], ssh: o.SSH && s.Reachable(), spared: kept.servers[s.Name], phase: s.Phase}
		m.decision = state.ServerDecision{Server: s.Name, Pool: s.Pool, Phase: s.Phase, Action: state.Keep}
		m.mark(o.At)
		m.obey()
		members = append(members, m)
	}
	return members, load
}

// stagesOf lists the stages on the servers that drain, in order of their ids.
func stagesOf(o Observation) map[string][]int64 {
	stages := make(map[string][]int64)
	for i := range o.Servers {
		if p := o.Servers[i].Phase; p == state.Shutdown || p == state.Failed {
			stages[o.Servers[i].Runner()] = nil
		}
	}
	for i := range o.Stages {
		if on, drains := stages[o.Stages[i].Machine]; drains {
			stages[o.Stages[i].Machine] = append(on, o.Stages[i].ID)
		}
	}
	for _, on := range stages {
		slices.Sort(on)
	}
	return stages
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
	case s.Phase == state.Stopping, s.Taken:
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

// disown lets a server go whose pool is there no more.
func (m *member) disown(o Observation) {
	if o.Paused || m.server.Taken || m.dismissed() {
		return
	}
	reason := fmt.Sprintf("there is no pool %s any more", m.server.Pool)
	switch {
	case m.spared != nil && m.phase != state.Stopping:
		m.keep(m.stays())
	case m.phase == state.Pending && m.load == 0:
		m.act(state.Drop, reason+", and its create has not begun")
	case m.phase == state.Created, m.phase == state.Staging, m.phase == state.Running:
		m.act(state.Drain, reason)
	}
}

// dismissed says whether a person asked for the server to leave. It is no
// longer capacity and never put back to work.
func (m *member) dismissed() bool { return m.server.Condemned || m.server.Forced }

// usable says whether the decision leaves the server as capacity.
func (m *member) usable() bool { return m.phase.Usable() && !m.dismissed() }

// spare says whether the server drains, or waits for a person to approve its
// destruction, and could be put back to work. One whose
// runner was told to take no more work has to end its stages first, and one that
// is outdated is not wanted back.
func (m *member) spare() bool {
	return (m.phase == state.Shutdown || m.phase == state.Stopping && m.server.Waits != 0) && !m.dismissed() && !m.outdated && m.server.Absent == "" && (!m.ssh || m.load == 0)
}

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
	m.phase = phaseAfter[a]
	if a == state.Revive && !m.server.Told.IsZero() {
		m.phase = state.Staging // its runner has to be started again first
	}
	m.decision.Action, m.decision.To, m.decision.Reason = a, m.phase, reason
}

func (m *member) keep(reason string) { m.decision.Reason = reason }

// conclude stops a server that has drained, and gives a reason to every server
// that has none so far.
func (m *member) conclude(o Observation) {
	if m.decision.Reason != "" {
		return
	}
	if m.phase == state.Shutdown || m.broken() {
		m.watch(o)
		return
	}
	m.keep(m.standing())
}

// watch lets a draining server go. With SSH its runner has ended, having been
// told to take no more work, and a later read of the queue shows no stage on it.
// One that does not answer goes when the queue has shown no stage on it for a
// while. Without SSH this read and an earlier one, and so presumably every one
// between them, show none: one read is not enough, since its runner may be about
// to accept a stage.
func (m *member) watch(o Observation) {
	s, quiet := m.server, m.decision.QuietSince
	switch {
	case s.Taken:
		m.keep("left alone: its device does not carry this installation's tag any more")
	case s.Double() && !s.Drained.IsZero():
		m.act(state.Stop, fmt.Sprintf("drained: its own runner ended by %s; stages under its name are another's", clock(s.Drained)))
	case m.load > 0 && (s.Absent != "" || !s.Unreachable.IsZero() && o.At.Sub(s.Unreachable) >= o.Grace):
		m.decision.Alarm = true
		m.keep(fmt.Sprintf("drains: %s on it%s hang, since its machine is gone or does not answer: cancel them in Drone, or wait for Drone to end them", count(m.load, "stage"), list(m.stages)))
	case m.load > 0:
		m.keep(fmt.Sprintf("drains: %s still on it%s%s", count(m.load, "stage"), list(m.stages), m.overdue(o)))
	case !m.ssh && o.At.After(quiet):
		m.act(state.Stop, "drained: no stage on it since "+clock(quiet))
	case !m.ssh:
		m.keep(fmt.Sprintf("drains: no stage on it since %s, to be seen once more", clock(quiet)))
	case !s.Drained.IsZero() && o.At.After(s.Drained):
		m.act(state.Stop, fmt.Sprintf("drained: its runner ended by %s, and no stage is on it", clock(s.Drained)))
	case !s.Drained.IsZero():
		m.keep("drains: its runner has ended; the queue is to show once more that no stage is on it")
	case !s.Unreachable.IsZero():
		since := later(quiet, s.Unreachable).Add(o.Grace)
		if o.At.Before(since) {
			m.keep(fmt.Sprintf("drains: it does not answer since %s; no stage on it since %s, which is believed from %s on", clock(s.Unreachable), clock(quiet), clock(since)))
			return
		}
		m.act(state.Stop, fmt.Sprintf("it does not answer since %s, and no stage is on it since %s", clock(s.Unreachable), clock(quiet)))
	case s.Told.IsZero():
		m.keep("drains: its runner is to be told to take no more work")
	default:
		m.keep("drains: its runner was told at " + clock(s.Told) + " to take no more work, and has not ended yet" + m.overdue(o))
	}
}

// overdue is added to what is told of a drain that takes too long.
func (m *member) overdue(o Observation) string {
	if o.Overdue <= 0 || o.At.Sub(m.server.Updated) < o.Overdue {
		return ""
	}
	m.decision.Alarm = true
	return fmt.Sprintf("; it drains since %s, longer than %s, and goes on: only force ends it sooner", clock(m.server.Updated), o.Overdue)
}

// list is ids in words, a few of them.
func list(ids []int64) string {
	const shown = 5
	if len(ids) == 0 {
		return ""
	}
	words := make([]string, 0, shown)
	for _, id := range ids[:min(len(ids), shown)] {
		words = append(words, strconv.FormatInt(id, 10))
	}
	if len(ids) > shown {
		words = append(words, "...")
	}
	return " (" + strings.Join(words, ", ") + ")"
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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
		if m.server.Waits != 0 {
			return fmt.Sprintf("it is to be created, which waits for an admin's approval of run %d", m.server.Waits)
		}
		return "waits for its create to begin"
	case state.Creating:
		return "its create is under way"
	case state.Created, state.Staging:
		if m.server.Setup != "" {
			return "it is being set up: " + m.server.Setup
		}
		return "its device is being set up"
	case state.Running:
		return fmt.Sprintf("busy: %s of %d on it", count(m.load, "stage"), m.server.Capacity)
	case state.Failed:
		return m.trouble()
	}
	if m.spared != nil {
		return "its device is to be destroyed, which " + m.spared.By + " has discarded; it is planned again when the demand changes, or an admin asks"
	}
	if m.server.Waits != 0 {
		return fmt.Sprintf("its device is to be destroyed, which waits for an admin's approval of run %d", m.server.Waits)
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
