package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hangar/state"
)

// workFigures is what the slow loop, the sweep and terraform tell.
type workFigures struct {
	runs  *prometheus.CounterVec
	steps *prometheus.HistogramVec

	deleted, notDeleted *tally
	adopted, removed    prometheus.Counter
}

// results are how a run can end.
var results = []state.RunPhase{state.RunApplied, state.RunRefused, state.RunErrored, state.RunInterrupted, state.RunDiscarded}

// guardStep is the step that is no terraform process.
const guardStep = "guard"

func (w *workFigures) register(m *Metrics) {
	w.runs = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hangar_runs_total", Help: "Runs that have ended, by how; refused: by the guard or DRONE_TERRAFORM_CHECK.",
	}, []string{"result"})
	for _, r := range results {
		w.runs.WithLabelValues(string(r))
	}
	m.registry.MustRegister(w.runs)
	w.steps = m.histogram("hangar_step_duration_seconds", "How long the steps of runs and looks took. All but the guard are terraform processes; push gives a state back that an apply could not save.",
		"step", []float64{0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 1800}, "init", "plan", "show", guardStep, "apply", "census", "push")
	w.deleted = m.tally("drone_servers_deleted", "Servers whose destruction is verified.")
	w.notDeleted = m.tally("drone_servers_deleted_err", "Servers that a run was to destroy and did not.")
	w.adopted = m.counter("hangar_orphans_adopted_total", "Machines taken over that terraform, or lost records, knew nothing of.")
	w.removed = m.counter("hangar_orphans_destroyed_total", "Machines in no record, and second ones of a server, whose destruction is verified.")
	m.gauge("hangar_terraform_processes", "Terraform processes under way.", func() float64 { return float64(m.Processes()) })
}

// Ran takes the end of a terraform process.
func (m *Metrics) Ran(step string, took time.Duration) {
	m.work.steps.WithLabelValues(step).Observe(took.Seconds())
}

// Guarded takes a judgement of the guard.
func (m *Metrics) Guarded(took time.Duration) { m.Ran(guardStep, took) }

// Ended takes the end of a run.
func (m *Metrics) Ended(run state.Run, f state.Finish) {
	m.work.runs.WithLabelValues(string(f.Phase)).Inc()
	for _, o := range f.Servers {
		if o.Error != "" && slices.Contains(run.Deletes, o.Server) {
			m.work.notDeleted.add(1)
		}
	}
}

// Looked takes what a look told of servers.
func (m *Metrics) Looked(seen []state.Sighting) {
	for _, s := range seen {
		was := s.Seen
		switch {
		case was.ID == "" && s.Device.ID != "":
			m.work.adopted.Inc()
		case was.Phase == state.Stopping && s.To == state.Stopped && was.ID != "" && was.Absent == "":
			m.work.deleted.add(1)
			if was.Machine != "" {
				m.work.removed.Inc()
			}
		}
	}
}

// Made takes the records that a sweep made for devices it found. Those that are
// to be destroyed count when they are.
func (m *Metrics) Made(servers []state.Server) {
	for _, s := range servers {
		if !s.Condemned {
			m.work.adopted.Inc()
		}
	}
}
