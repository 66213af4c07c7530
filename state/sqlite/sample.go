package sqlite

import (
	"context"
	"slices"
	"time"

	"hangar/state"
)

// keepSamples is for how long samples are kept: a week, and a day more, so that
// a week can be drawn whole.
const keepSamples = 8 * 24 * time.Hour

// AddSamples records what pools are like, and removes the samples that are too
// old. What the pools have cost is read from the records, as of each sample.
func (s *Store) AddSamples(ctx context.Context, samples []state.Sample) error {
	return s.write(ctx, "record samples", func(t tx) error {
		for _, sample := range samples {
			cost, err := spent(t, sample.At)
			if err != nil {
				return err
			}
			err = t.do("INSERT OR REPLACE INTO samples (at, pool, demand, capacity, machines, wait, cost) VALUES (?, ?, ?, ?, ?, ?, ?)",
				micros(sample.At), sample.Pool, sample.Demand, sample.Capacity, sample.Machines, sample.Wait.Microseconds(), cost[sample.Pool].Cost)
			if err != nil {
				return err
			}
			if err := t.do("DELETE FROM samples WHERE at < ?", micros(sample.At.Add(-keepSamples))); err != nil {
				return err
			}
		}
		return nil
	})
}

// Samples returns, for each pool and span of length step from since on, the most
// that was sampled in it, in order of time, then pool. Spans without samples
// are left out.
func (s *Store) Samples(ctx context.Context, since time.Time, step time.Duration) (samples []state.Sample, err error) {
	err = s.read(ctx, "read samples", func(t tx) error {
		samples, err = all(t, func(r row) (sample state.Sample, err error) {
			var wait int64
			err = r.Scan(stamp{&sample.At}, &sample.Pool, &sample.Demand, &sample.Capacity, &sample.Machines, &wait, &sample.Cost)
			sample.Wait = time.Duration(wait) * time.Microsecond
			return sample, err
		}, `SELECT ?1 + (at - ?1) / ?2 * ?2 AS span, pool, max(demand), max(capacity), max(machines), max(wait), max(cost)
			FROM samples WHERE at >= ?1 GROUP BY span, pool ORDER BY span, pool`, micros(since), step.Microseconds())
		return err
	})
	return samples, err
}

// createTimes is how many of the newest creates of a pool count for CreateTimes.
const createTimes = 50

// CreateTimes returns, by pool, the median of what the newest creates took, from
// the begin to the active device. Pools that made none yet are left out.
func (s *Store) CreateTimes(ctx context.Context) (medians map[string]time.Duration, err error) {
	type took struct {
		pool string
		us   int64
	}
	err = s.read(ctx, "read how long creates take", func(t tx) error {
		list, err := all(t, func(r row) (c took, err error) {
			err = r.Scan(&c.pool, &c.us)
			return c, err
		}, `SELECT pool, took FROM (
				SELECT pool, active - began AS took, row_number() OVER (PARTITION BY pool ORDER BY active DESC) AS place
				FROM servers WHERE began > 0 AND active > began)
			WHERE place <= ? ORDER BY pool`, createTimes)
		byPool := make(map[string][]int64)
		for _, c := range list {
			byPool[c.pool] = append(byPool[c.pool], c.us)
		}
		medians = make(map[string]time.Duration)
		for pool, times := range byPool {
			slices.Sort(times)
			medians[pool] = time.Duration(times[len(times)/2]) * time.Microsecond
		}
		return err
	})
	return medians, err
}
