package reconciler

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"hangar/state"
)

// SampleStore keeps samples.
type SampleStore interface {
	AddSamples(ctx context.Context, samples []state.Sample) error
	// Samples returns the most that was sampled in each span of length step from
	// since on, by time, then pool.
	Samples(ctx context.Context, since time.Time, step time.Duration) ([]state.Sample, error)
}

// Sampler takes samples of what the passes of the fast loop see of the pools: once
// in Every, and then the most that they saw since the last time, so that what
// comes and goes in between is seen. While nothing changes it keeps them for
// itself, for an hour at most, so that a disk can rest.
type Sampler struct {
	Store SampleStore
	Every time.Duration
	Wait  func() time.Duration // for which the stage that waits longest has waited, at the last pass
	Log   *slog.Logger

	most  map[string]state.Sample // since the last samples, by pool
	taken time.Time               // when those were
	last  []state.Sample          // the last that were recorded

	mu   sync.Mutex
	kept []state.Sample // that are not recorded yet: nothing has changed since last
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
	s.mu.Lock()
	s.kept = append(s.kept, due...)
	s.mu.Unlock()
	if !unchanged(s.last, due) {
		s.Flush()
		s.last = due
	}
}

// Flush records what is kept. It is called, too, when no pass will follow.
func (s *Sampler) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), sampleTime)
	defer cancel()
	if err := s.Store.AddSamples(ctx, s.kept); err != nil {
		s.Log.Error("what the page's timeline is drawn from is not recorded", "error", err)
	}
	s.kept = nil
}

// Samples returns those of the store with those that are kept. What these would
// tell of the cost, the newest of the store tells.
func (s *Sampler) Samples(ctx context.Context, since time.Time, step time.Duration) ([]state.Sample, error) {
	s.mu.Lock() // also while the store is read, or what is recorded meanwhile would be missed
	defer s.mu.Unlock()
	all, err := s.Store.Samples(ctx, since, step)
	if err != nil {
		return nil, err
	}
	for _, k := range s.kept {
		if k.At.Before(since) {
			continue
		}
		k.At = since.Add(k.At.Sub(since) / step * step)
		there := false
		for _, one := range all {
			if one.Pool == k.Pool {
				k.Cost, there = one.Cost, one.At.Equal(k.At)
			}
		}
		if !there { // else it is the same
			all = append(all, k)
		}
	}
	slices.SortStableFunc(all, func(a, b state.Sample) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Pool, b.Pool)) })
	return all, nil
}

// unchanged says whether samples are what others of the same hour were.
func unchanged(before, now []state.Sample) bool {
	return slices.EqualFunc(before, now, func(a, b state.Sample) bool {
		hour := a.At.Truncate(time.Hour).Equal(b.At.Truncate(time.Hour))
		a.At = b.At
		return hour && a == b
	})
}
