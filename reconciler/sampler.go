package reconciler

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"hangar/state"
)

// SampleStore keeps samples.
type SampleStore interface {
	AddSamples(ctx context.Context, samples []state.Sample) error
}

// Sampler records what the passes of the fast loop see of the pools: once in
// Every, and then the most that they saw since the last time, so that what
// comes and goes in between is seen. While nothing changes it records once in an
// hour, so that a disk can rest.
type Sampler struct {
	Store SampleStore
	Every time.Duration
	Wait  func() time.Duration // for which the stage that waits longest has waited, at the last pass
	Log   *slog.Logger

	most     map[string]state.Sample // since the last samples, by pool
	taken    time.Time               // when those were
	recorded []state.Sample          // the last that were recorded
	same     []state.Sample          // the last that were not, because they are the same as those
}

// sampleTime bounds how long the fast loop waits for samples to be recorded.
const sampleTime = 5 * time.Second

// Decided takes what a pass decided; one call at a time. A sample that cannot be
// recorded is logged and lost.
func (s *Sampler) Decided(d state.Decision) {
	if s.most == nil {
		s.most = make(map[string]state.Sample)
	}
	wait := s.Wait()
	var due []state.Sample
	for _, p := range d.Pools {
		m := s.most[p.Pool]
		m = state.Sample{
			At: d.At, Pool: p.Pool, Demand: max(m.Demand, p.Waiting+p.Assigned), Capacity: max(m.Capacity, p.Usable),
			Machines: max(m.Machines, p.Billed), Wait: max(m.Wait, wait),
		}
		s.most[p.Pool] = m
		due = append(due, m)
	}
	if d.At.Sub(s.taken) < s.Every {
		return
	}
	s.taken = d.At
	clear(s.most)
	if unchanged(s.recorded, due) {
		s.same = due
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), sampleTime)
	defer cancel()
	// Those before are recorded too: a line is drawn from sample to sample.
	if err := s.Store.AddSamples(ctx, slices.Concat(s.same, due)); err != nil {
		s.Log.Error("what the page's timeline is drawn from is not recorded", "error", err)
	}
	s.recorded, s.same = due, nil
}

// unchanged says whether samples are what others of the same hour were.
func unchanged(before, now []state.Sample) bool {
	return slices.EqualFunc(before, now, func(a, b state.Sample) bool {
		hour := a.At.Truncate(time.Hour).Equal(b.At.Truncate(time.Hour))
		a.At = b.At
		return hour && a == b
	})
}
