package replay

import (
	"time"

	"hangar/reconciler/scale"
	"hangar/state"
)

// job is a stage of the trace on its way.
type job struct {
	stage state.Stage
	runs  time.Duration
	fits  map[string]bool // the pools that may run it
	on    *machine        // nil: it waits
	held  bool            // by its limit
}

func (r *replay) arrive(s Stage, id int64) {
	j := &job{stage: s.stage(id), runs: s.Runs, fits: map[string]bool{}}
	for _, p := range r.roster.Pools {
		if scale.Matches(j.stage, p) {
			j.fits[p.Name] = true
		}
	}
	r.result.Stages++
	if len(j.fits) == 0 {
		r.result.Unmatched++
		return
	}
	r.limited = r.limited || s.Limit > 0
	r.jobs = append(r.jobs, j)
	r.pending++
	r.dispatch()
	if j.on == nil || r.buffered {
		r.want(r.now)
	}
}

// dispatch gives stages that wait to runners with room, the oldest first, each to
// one that happens to ask.
func (r *replay) dispatch() {
	if r.free == 0 || r.pending == 0 {
		return
	}
	if r.limited {
		r.snapshotStages()
		for i, held := range scale.HeldBack(r.stages) {
			r.jobs[i].held = held
		}
	}
	for _, j := range r.jobs {
		if r.free == 0 || r.pending == 0 {
			return
		}
		if j.on != nil || j.held {
			continue
		}
		var chosen *machine
		rooms := 0
		for _, m := range r.machines {
			if room := m.record.Capacity - m.load; m.record.Phase == state.Running && room > 0 && j.fits[m.record.Pool] {
				if rooms += room; r.rand.IntN(rooms) < room {
					chosen = m
				}
			}
		}
		if chosen != nil {
			r.begin(j, chosen)
		}
	}
}

func (r *replay) begin(j *job, m *machine) {
	j.on, j.stage.Machine, j.stage.Running = m, m.record.Name, true
	m.load++
	r.free--
	r.pending--
	seen := r.tick(r.now) // by the read that will show it
	m.record.IdleSince = time.Time{}
	if m.record.Served.IsZero() {
		m.record.Served = seen
	}
	r.result.waited(r.now.Sub(j.stage.Created))
	if r.now.Sub(j.stage.Created) > r.goal {
		r.late--
	}
	r.result.busy += j.runs.Seconds()
	r.at(r.now.Add(j.runs), func() { r.end(j) })
}

func (r *replay) end(j *job) {
	for i := range r.jobs {
		if r.jobs[i] == j {
			r.jobs = append(r.jobs[:i], r.jobs[i+1:]...)
			break
		}
	}
	m := j.on
	if m.load--; m.record.Phase == state.Running {
		r.free++
		r.dispatch()
	}
	if m.load == 0 {
		r.idle(m)
	}
	if r.buffered {
		r.want(r.now)
	}
}

// idle notes that a machine runs nothing, and has the queue read when it may leave.
func (r *replay) idle(m *machine) {
	if m.record.Phase != state.Running {
		r.want(r.now)
		return
	}
	seen := r.tick(r.now)
	m.record.IdleSince = seen
	r.want(scale.MayLeave(m.record, r.roster.Pool(m.record.Pool), seen))
}

func (r *replay) snapshotStages() {
	r.stages = r.stages[:0]
	for _, j := range r.jobs {
		r.stages = append(r.stages, j.stage)
	}
}
