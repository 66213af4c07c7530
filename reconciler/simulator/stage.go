package simulator

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"hangar/state"
)

// stage is a stage of a build, as long as the queue shows it.
type stage struct {
	state.Stage
	buildID int64
	started time.Time
	updated time.Time
	version int64
	device  *Device   // on which it was accepted; nil: waiting
	due     time.Time // of running, then of its end
}

// Enqueue adds n builds of one stage each, made after the templates in turn;
// without one, of a stage pipeline/docker linux/amd64 of repository 1. It
// returns their ids.
func (w *World) Enqueue(n int, templates ...state.Stage) []int64 {
	if len(templates) == 0 {
		templates = []state.Stage{{}}
	}
	var ids []int64
	w.do(func(now time.Time) {
		for i := range n {
			s := newStage(templates[i%len(templates)])
			w.stats.Builds++
			s.ID, s.buildID = int64(w.stats.Builds), int64(w.stats.Builds)
			s.Created, s.updated, s.version = now, now, 1
			w.stages = append(w.stages, s)
			ids = append(ids, s.ID)
		}
		w.dirty = true
	})
	return ids
}

// newStage fills in what a template leaves open.
func newStage(template state.Stage) *stage {
	s := &stage{Stage: template}
	s.RepoID = cmp.Or(s.RepoID, 1)
	s.Name = cmp.Or(s.Name, "default")
	s.Kind = cmp.Or(s.Kind, "pipeline")
	s.Type = cmp.Or(s.Type, "docker")
	s.OS = cmp.Or(s.OS, "linux")
	s.Arch = cmp.Or(s.Arch, "amd64")
	s.Labels = maps.Clone(s.Labels)
	s.Running, s.Machine = false, ""
	return s
}

// advanceStages starts and ends the accepted stages that are due.
func (w *World) advanceStages(now time.Time) {
	w.stages = slices.DeleteFunc(w.stages, func(s *stage) bool {
		if s.due.IsZero() || s.due.After(now) {
			return false
		}
		w.dirty = true
		if !s.Running {
			s.Running, s.started, s.updated = true, s.due, s.due
			s.version++
			s.due = s.due.Add(w.config.BuildTime)
		}
		if s.due.After(now) {
			return false
		}
		w.stats.Succeeded++
		return true
	})
}

// schedule gives waiting stages to runners that ask for work, oldest first,
// as the server's queue does. Which of several runners gets one is chance,
// there as here.
func (w *World) schedule(now time.Time) {
	load := map[*Device]int{}
	for _, s := range w.stages {
		load[s.device]++
	}
	for _, s := range w.stages {
		if s.device != nil || !withinLimit(s, w.stages) || throttled(s, w.stages) {
			continue
		}
		var able []*runner
		for _, r := range w.runners {
			if load[r.device] < r.capacity && matches(r, s) {
				able = append(able, r)
			}
		}
		if len(able) == 0 {
			continue
		}
		r := able[w.rand.IntN(len(able))]
		load[r.device]++
		w.accept(s, r, now)
	}
}

// accept assigns a stage. Its machine is set at once, while it is pending.
func (w *World) accept(s *stage, r *runner, now time.Time) {
	s.Machine, s.device = r.name, r.device
	s.updated, s.due = now, now.Add(w.config.AcceptTime)
	s.version++
	w.stats.Waits = append(w.stats.Waits, now.Sub(s.Created))
	w.dirty = true
}
