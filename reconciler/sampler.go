package reconciler

import (
	"context"
	"log/slog"
	"time"

	"hangar/state"
)

// SampleStore keeps samples.
type SampleStore interface {
	AddSamples(ctx context.Context, samples []state.Sample) error
}

// Sampler records what the passes of the fast loop see of the pools: once in
// Every, and then the most that they saw since the last time, so that what
// comes and goes in between is seen.
type Sampler struct {
	Store SampleStore
	Every time.Duration
	Wait  func() time.Duration // for which the stage that waits longest has waited, at the last pass
	Log   *slog.Logger

	most  map[string]state.Sample // since the last samples, by pool
	taken time.Time               // when those were
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
	ctx, cancel := context.WithTimeout(context.Background(), sampleTime)
	defer cancel()
	if err := s.Store.AddSamples(ctx, due); err != nil {
		s.Log.Error("what the page's timeline is drawn from is not recorded", "error", err)
	}
	s.taken = d.At
	clear(s.most)
}
