package replay

import (
	"fmt"
	"slices"
	"time"

	"hangar/state"
)

const (
	orderTime   = 2 * time.Second  // from a decision until its machines are ordered
	drainTime   = time.Second      // until a runner without builds has ended
	destroyTime = 10 * time.Second // until a machine is billed no more
)

// machine is a server with what the replay knows of it beyond its record.
type machine struct {
	record state.Server
	load   int
}

// spent is what the pools have used of their budgets.
func (r *replay) spent() map[string]state.Spent {
	spent := map[string]state.Spent{}
	day := r.now.Truncate(24 * time.Hour)
	wasted := func(s state.Spent, began time.Time) state.Spent {
		if s.Creates++; s.Oldest.IsZero() || began.Before(s.Oldest) {
			s.Oldest = began
		}
		return s
	}
	r.wasted = slices.DeleteFunc(r.wasted, func(s state.Server) bool { return r.now.Sub(s.Began) >= time.Hour })
	for _, gone := range r.wasted {
		spent[gone.Pool] = wasted(spent[gone.Pool], gone.Began)
	}
	for _, m := range r.machines {
		s := spent[m.record.Pool]
		if m.record.Served.IsZero() && r.now.Sub(m.record.Began) < time.Hour {
			s = wasted(s, m.record.Began)
		}
		from := m.record.Created
		if from.Before(day) {
			from = day
		}
		s.Cost += r.now.Sub(from).Hours() * m.record.Price
		spent[m.record.Pool] = s
	}
	return spent
}

// order makes a machine.
func (r *replay) order(p state.Pool) {
	r.made++
	m := &machine{record: state.Server{
		Name: fmt.Sprintf("agent-%d", r.made), Pool: p.Name, Phase: state.Creating, Capacity: p.Concurrency, Created: r.now, Updated: r.now, Began: r.now.Add(orderTime),
	}}
	if len(p.Candidates) > 0 {
		m.record.Price, m.record.Spec = p.Candidates[0].Price, p.Candidates[0].Spec
	}
	m.record.ID, m.record.Address = m.record.Name, m.record.Name
	r.machines = append(r.machines, m)
	r.named[m.record.Name] = m
	r.result.alive(r.now, len(r.machines), r.pending)
	boot := r.Machines.Boot[r.rand.IntN(len(r.Machines.Boot))]
	fails := r.rand.Float64() < r.Machines.Fail
	r.at(m.record.Began.Add(boot), func() {
		if m.record.Phase != state.Creating {
			return
		}
		m.record.Updated = r.now
		if fails {
			m.record.Phase = state.Failed
			r.result.Failed++
			r.want(r.now)
			return
		}
		r.runs(m)
		m.record.Started = r.now
		r.leads[p.Name] = append(r.leads[p.Name], r.now.Sub(m.record.Created))
	})
}

// runs lets a machine take builds.
func (r *replay) runs(m *machine) {
	m.record.Phase = state.Running
	r.free += m.record.Capacity - m.load
	r.dispatch()
	if m.load == 0 {
		r.idle(m)
	}
	r.want(r.now)
}

// move does what was decided of a server.
func (r *replay) move(m *machine, d state.ServerDecision) {
	s := &m.record
	if d.Action == state.Keep {
		s.Served, s.IdleSince, s.QuietSince = d.Served, d.IdleSince, d.QuietSince
		return
	}
	if s.Phase == state.Running {
		r.free -= s.Capacity - m.load
	}
	s.Phase, s.Updated, s.QuietSince = d.To, r.now, time.Time{}
	switch d.Action {
	case state.Drain:
		s.Told = r.now
		r.drained(m)
	case state.Revive:
		s.Told, s.Drained, s.IdleSince = time.Time{}, time.Time{}, time.Time{}
		r.at(r.now.Add(drainTime), func() {
			if s.Phase == d.To {
				r.runs(m)
			}
		})
		if d.To == state.Running { // it was told nothing yet
			s.Phase = state.Staging
		}
	case state.Stop, state.Drop:
		s.Phase = state.Stopping
		r.at(r.now.Add(destroyTime), func() { r.gone(m) })
	}
}

// drained lets the runner of a draining machine end once it has no builds.
func (r *replay) drained(m *machine) {
	told := m.record.Told
	r.at(r.now.Add(drainTime), func() {
		switch {
		case m.record.Phase != state.Shutdown || !m.record.Told.Equal(told):
		case m.load > 0:
			r.drained(m)
		default:
			m.record.Drained = r.now
			r.want(r.now.Add(time.Nanosecond))
		}
	})
}

func (r *replay) gone(m *machine) {
	for i := range r.machines {
		if r.machines[i] == m {
			r.machines = append(r.machines[:i], r.machines[i+1:]...)
			break
		}
	}
	delete(r.named, m.record.Name)
	if m.record.Served.IsZero() {
		r.wasted = append(r.wasted, m.record)
	}
	r.result.paid(m.record, r.now, r.Machines.Billed)
	r.result.alive(r.now, len(r.machines), r.pending)
	r.want(r.now)
}
