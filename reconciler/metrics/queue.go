package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hangar/reconciler/scale"
	"hangar/state"
)

// queueFigures is what the fast loop tells.
type queueFigures struct {
	wait      *prometheus.HistogramVec
	decisions prometheus.Counter
}

func (q *queueFigures) register(m *Metrics) {
	q.wait = m.histogram("hangar_queue_wait_seconds",
		"How long stages waited until a machine of the pool took them, from when they could have begun: not while another stage or a limit of their own held them up.",
		"pool", []float64{1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600}, m.poolNames()...)
	q.decisions = m.counter("hangar_decisions_total", "Decisions that made or moved a server.")
	m.gauge("hangar_queue_oldest_wait_seconds", "How long the stage that waits longest for a machine of any pool had waited at the last read of the queue.", func() float64 {
		return m.Oldest().Seconds()
	})
	m.gauge("hangar_queue_read_age_seconds", "Time since the queue was last read; before the first time, since hangar began.", func() float64 {
		return m.Unread().Seconds()
	})
	m.registry.MustRegister(overdue{m})
}

// Oldest is how long the stage that waits longest for a machine of any pool had
// waited at the last read of the queue.
func (m *Metrics) Oldest() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.oldest
}

// Unread is the time since the queue was last read; before the first time, since
// hangar began.
func (m *Metrics) Unread() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(0, m.Now().Sub(m.read))
}

// QueueRead notes that the queue has been read.
func (m *Metrics) QueueRead() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read = m.Now()
}

// Decided takes what a pass saw and decided.
func (m *Metrics) Decided(stages []state.Stage, servers []state.Server, d state.Decision) {
	if d.Changed() {
		m.queue.decisions.Inc()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.overdue = make(map[string]int)
	for _, s := range d.Servers {
		if s.Alarm {
			m.overdue[s.Pool]++
		}
	}
	pools := make(map[string]string, len(servers))
	for _, s := range servers {
		if s.Machine == "" { // else the name is another's
			pools[s.Name] = s.Pool
		}
	}
	m.oldest = m.waits.see(stages, d, func(machine string, wait time.Duration) {
		if pool, ours := pools[machine]; ours {
			m.queue.wait.WithLabelValues(pool).Observe(wait.Seconds())
		}
	})
	m.follow(servers, d.At)
}

// waits remembers the stages of one read of the queue until the next.
type waits struct {
	read  time.Time           // when it was; zero: there was none
	since map[int64]time.Time // stages without a machine: since when one could have had them
	taken map[int64]bool      // stages with one
}

// see compares a read of the queue with the one before, tells of each stage
// that has got a machine how long it had waited, and returns how long the
// oldest one that still waits for a pool has. It is as exact as reads are
// frequent. A stage that comes into the queue later than it was made has waited
// for other stages until then; what a machine had before the first read is not
// told.
func (w *waits) see(stages []state.Stage, d state.Decision, took func(machine string, wait time.Duration)) (oldest time.Duration) {
	none := make(map[int64]bool) // stages that no pool may run
	for _, u := range d.Unmatched {
		for _, id := range u.Stages {
			none[id] = true
		}
	}
	held := scale.HeldBack(stages)
	now := waits{d.At, make(map[int64]time.Time), make(map[int64]bool)}
	for i, s := range stages {
		since, waited := w.since[s.ID]
		if !waited {
			since = s.Created
			if since.Before(w.read) {
				since = w.read
			}
		}
		wait := max(0, d.At.Sub(since)) // Drone's clock may be ahead
		switch {
		case s.Machine != "":
			now.taken[s.ID] = true
			if !w.taken[s.ID] && !w.read.IsZero() {
				took(s.Machine, wait)
			}
		case s.Running:
		case held[i]:
			now.since[s.ID] = d.At
		default:
			now.since[s.ID] = since
			if !none[s.ID] {
				oldest = max(oldest, wait)
			}
		}
	}
	*w = now
	return oldest
}

// overdue tells of the drains that take too long.
type overdue struct{ *Metrics }

var drainsOverdue = desc("hangar_drains_overdue", "Servers that drain for longer than DRONE_TIMEOUT_STOP, or whose builds hang because their machine is gone or does not answer.", "pool")

// Describe lists what Collect tells.
func (o overdue) Describe(told chan<- *prometheus.Desc) { told <- drainsOverdue }

// Collect tells what the last pass saw.
func (o overdue) Collect(told chan<- prometheus.Metric) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, pool := range union(o.poolNames(), o.overdue) {
		teller(told).gauge(drainsOverdue, o.overdue[pool], pool)
	}
}
