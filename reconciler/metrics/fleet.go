package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hangar/state"
)

// fleetFigures is what follows from how servers change from pass to pass.
type fleetFigures struct {
	created, notCreated *tally

	create, boot, install          prometheus.Histogram
	createErr, bootErr, installErr prometheus.Counter

	drains *prometheus.HistogramVec
}

// How a drain can end.
const (
	drainDestroyed = "destroyed" // the server is to be destroyed
	drainRevived   = "revived"   // it works again
	drainFailed    = "error"
)

func (f *fleetFigures) register(m *Metrics) {
	minutes := func(name, help string) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: []float64{60, 150, 300, 600, 900, 1200}})
		m.registry.MustRegister(h)
		return h
	}
	f.created = m.tally("drone_servers_created", "Servers whose machine was made.")
	f.notCreated = m.tally("drone_servers_created_err", "Servers whose machine could not be made.")
	f.create = minutes("drone_server_create_time_seconds", "From the beginning of a create until its machine was active.")
	f.boot = minutes("drone_server_boot_time_seconds", "From an active machine until it answered over SSH.")
	f.install = minutes("drone_server_install_time_seconds", "From a machine's first answer until its agent was ready.")
	f.createErr = m.counter("drone_server_create_errors_total", "Servers whose machine could not be made.")
	f.bootErr = m.counter("drone_server_boot_errors_total", "Servers in error whose machine was active and never answered.")
	f.installErr = m.counter("drone_server_install_errors_total", "Servers in error whose machine answered and whose agent was never ready.")
	f.drains = m.histogram("hangar_drain_duration_seconds", "How long servers drained, by how that ended.", "end",
		[]float64{10, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 43200}, drainDestroyed, drainRevived, drainFailed)
}

// life is how far a server was.
type life struct {
	phase                             state.Phase
	updated, active, reached, started time.Time
}

// follow compares the servers of a pass with those of the one before. The times
// are those of the records, so that nothing hangs on when a pass is made. What
// happened before the first pass is not told. The lock is held.
func (m *Metrics) follow(servers []state.Server, at time.Time) {
	now := make(map[string]life, len(servers))
	for _, s := range servers {
		is := life{s.Phase, s.Updated, s.Active, s.Reached, s.Started}
		now[s.Name] = is
		if m.lives == nil {
			continue
		}
		was := m.lives[s.Name]
		if !s.Began.IsZero() { // else its machine was found
			m.fleet.setUp(was, is, s.Began)
		}
		m.fleet.drained(was, is)
	}
	for name, was := range m.lives {
		if _, there := now[name]; !there {
			m.fleet.drained(was, life{phase: state.Stopped, updated: at})
		}
	}
	m.lives = now
}

// setUp tells how a new server gets on.
func (f *fleetFigures) setUp(was, is life, began time.Time) {
	if was.active.IsZero() && !is.active.IsZero() {
		f.created.add(1)
		f.create.Observe(is.active.Sub(began).Seconds())
	}
	if !was.started.IsZero() {
		return
	}
	if was.reached.IsZero() && !is.reached.IsZero() {
		f.boot.Observe(is.reached.Sub(is.active).Seconds())
	}
	if !is.started.IsZero() && !is.reached.IsZero() {
		f.install.Observe(is.started.Sub(is.reached).Seconds())
	}
	switch {
	case was.phase == state.Failed || is.phase != state.Failed || !is.started.IsZero():
	case is.active.IsZero():
		f.notCreated.add(1)
		f.createErr.Inc()
	case is.reached.IsZero():
		f.bootErr.Inc()
	default:
		f.installErr.Inc()
	}
}

// drained tells of a drain that has ended.
func (f *fleetFigures) drained(was, is life) {
	if was.phase != state.Shutdown || is.phase == state.Shutdown {
		return
	}
	end := drainRevived
	switch is.phase {
	case state.Stopping, state.Stopped:
		end = drainDestroyed
	case state.Failed:
		end = drainFailed
	}
	f.drains.WithLabelValues(end).Observe(is.updated.Sub(was.updated).Seconds())
}
