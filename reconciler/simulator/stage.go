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
	device  *Device       // on which it was accepted; nil: waiting
	length  time.Duration // for which it runs
	due     time.Time     // of running, then of its end
	orphan  bool          // its runner is gone: the reaper ends it
	over    bool
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
			ids = append(ids, w.enqueue(templates[i%len(templates)], w.config.BuildTime, now))
		}
	})
	return ids
}

// EnqueueFor adds one build as Enqueue does, of a stage that runs for the
// given time, and returns its id.
func (w *World) EnqueueFor(length time.Duration, template state.Stage) (id int64) {
	w.do(func(now time.Time) { id = w.enqueue(template, length, now) })
	return id
}

func (w *World) enqueue(template state.Stage, length time.Duration, now time.Time) int64 {
	s := newStage(template)
	w.stats.Builds++
	s.ID, s.buildID, s.length = int64(w.stats.Builds), int64(w.stats.Builds), length
	s.Created, s.updated, s.version = now, now, 1
	w.stages = append(w.stages, s)
	w.events++
	w.dirty = true
	return s.ID
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

// advanceStages starts and ends the accepted stages that are due, and reaps
// the orphans that are.
func (w *World) advanceStages(now time.Time) {
	for _, s := range w.taken {
		if s.due.After(now) {
			continue
		}
		w.dirty = true
		w.events++
		switch {
		case s.orphan:
			s.over = true
			w.stats.Orphaned++
		case s.Running:
			s.over = true
			w.stats.Succeeded++
		default:
			s.Running, s.started, s.updated = true, s.due, s.due
			s.version++
			s.due = s.due.Add(s.length)
		}
	}
	w.forget()
}

// orphan leaves the stages of a runner that dies to Drone's reaper. Drone
// shows them as they were, until then (service/reaper of the server, 2.25).
func (w *World) orphan(r *runner) {
	for _, s := range w.taken {
		if s.device == r.device && !s.orphan {
			s.orphan, s.due = true, s.updated.Add(w.config.ReapAfter)
		}
	}
}

// fail ends the stages that run on a device.
func (w *World) fail(d *Device) {
	for _, s := range w.taken {
		if s.device == d && !s.orphan {
			s.over = true
			w.events++
			w.stats.Failed++
		}
	}
	w.forget()
}

// forget takes the stages that are over out of the queue.
func (w *World) forget() {
	over := func(s *stage) bool { return s.over }
	if slices.ContainsFunc(w.taken, over) {
		w.taken = slices.DeleteFunc(w.taken, over)
		w.stages = slices.DeleteFunc(w.stages, over)
	}
}

// schedule gives waiting stages to runners that ask for work, oldest first,
// as the server's queue does. Which of several runners gets one is chance,
// there as here.
func (w *World) schedule(now time.Time) {
	free, room := w.askers()
	held := newHolds(w.taken)
	for _, s := range w.stages {
		if len(free) == 0 {
			return
		}
		if held.back(s) || s.device != nil {
			continue
		}
		var able []*runner
		for _, r := range free {
			if matches(r, s) {
				able = append(able, r)
			}
		}
		if len(able) == 0 {
			continue
		}
		r := able[w.rand.IntN(len(able))]
		w.accept(s, r, now)
		if room[r]--; room[r] == 0 {
			free = slices.DeleteFunc(free, func(o *runner) bool { return o == r })
		}
	}
}

// askers lists the runners that ask for work, and for how many stages each.
func (w *World) askers() (free []*runner, room map[*runner]int) {
	load := map[*Device]int{}
	for _, s := range w.taken {
		if !s.orphan {
			load[s.device]++
		}
	}
	room = map[*runner]int{}
	for _, d := range w.devices {
		if r := d.runner; r != nil && r.asks() && load[d] < r.capacity {
			free = append(free, r)
			room[r] = r.capacity - load[d]
		}
	}
	return free, room
}

// accept assigns a stage. Its machine is set at once, while it is pending.
func (w *World) accept(s *stage, r *runner, now time.Time) {
	s.Machine, s.device = r.name, r.device
	s.updated, s.due = now, now.Add(w.config.AcceptTime)
	s.version++
	w.taken = append(w.taken, s)
	w.stats.Waits = append(w.stats.Waits, now.Sub(s.Created))
	w.dirty = true
}
