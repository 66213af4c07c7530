package scale

import (
	"fmt"
	"slices"
	"time"

	"hangar/state"
)

// What a learned buffer is learned from: the spans as long as a server takes to
// run, of so much time, of which the buffer is to cover so many. It is the
// reorder point of a base-stock policy, with the quantile of what was seen in the
// place of a distribution: builds come in bursts, not as a Poisson process.
const (
	learnFrom  = time.Hour
	learnSpans = 6 // as long as a server takes, at least
	learnShare = 0.9
)

// Arrivals remembers when stages came, and for which pool: what a pool's buffer
// is learned from. The zero Arrivals remembers nothing. It is not safe for
// concurrent use.
type Arrivals struct {
	since time.Time
	known map[int64]struct{}     // stages of the last read of the queue
	times map[string][]time.Time // by pool, in order
}

// Learns says whether the buffer of any of the pools is learned.
func Learns(pools []state.Pool) bool {
	return slices.ContainsFunc(pools, func(p state.Pool) bool { return p.LearnBuffer })
}

// See takes one read of the queue. A stage that was not in the one before came
// now, for the first pool that may run it; those of the first read came when they
// were created. leads is how long servers take.
func (a *Arrivals) See(at time.Time, stages []state.Stage, pools []state.Pool, leads map[string]state.Lead) {
	begun := a.known == nil
	if begun {
		a.since, a.times = at, make(map[string][]time.Time)
	}
	known := make(map[int64]struct{}, len(stages))
	for i := range stages {
		s := &stages[i]
		known[s.ID] = struct{}{}
		if _, old := a.known[s.ID]; old {
			continue
		}
		came := at
		if begun && s.Created.Before(at) {
			came = s.Created
		}
		if n := slices.IndexFunc(pools, func(p state.Pool) bool { return matches(s, &p) }); n >= 0 {
			a.times[pools[n].Name] = append(a.times[pools[n].Name], came)
		}
	}
	a.known = known
	for pool, times := range a.times {
		if begun {
			slices.SortFunc(times, time.Time.Compare)
		}
		lead := time.Duration(leads[pool].Median)
		old, _ := slices.BinarySearchFunc(times, at.Add(-memory(lead)-lead), time.Time.Compare)
		a.times[pool] = slices.Delete(times, 0, old)
	}
}

// memory is from how much time a buffer is learned where servers take so long.
func memory(lead time.Duration) time.Duration { return max(learnFrom, learnSpans*lead) }

// Learn returns the pools with the buffers that are to be learned: for as many
// stages as came within the time that a server takes, in nine of ten such spans
// of the last hour. Where no server has run yet there is none.
func (a *Arrivals) Learn(at time.Time, pools []state.Pool, leads map[string]state.Lead) []state.Pool {
	pools = slices.Clone(pools)
	for i := range pools {
		p := &pools[i]
		if !p.LearnBuffer {
			continue
		}
		lead := leads[p.Name]
		if lead.Of == 0 {
			p.Buffer, p.Learned = 0, "the buffer is not learned before a server has run"
			continue
		}
		took := time.Duration(lead.Median)
		p.Buffer = a.within(p.Name, at, took)
		p.Learned = fmt.Sprintf("the buffer is for what came in nine of ten spans of the %s that a server takes", took.Round(time.Second))
	}
	return pools
}

// within is how many stages came, at most, in learnShare of the spans of a length
// that ended between the begin of what is remembered and an instant.
func (a *Arrivals) within(pool string, at time.Time, length time.Duration) int {
	times := a.times[pool]
	from := at.Add(-memory(length))
	if from.Before(a.since) {
		from = a.since
	}
	var (
		count, in, out int
		now            = from
		spent          []time.Duration // by how many stages the span that ends then holds
	)
	for {
		next := at
		if in < len(times) && times[in].Before(next) {
			next = times[in]
		}
		if out < in && times[out].Add(length).Before(next) {
			next = times[out].Add(length)
		}
		if next.After(now) {
			for len(spent) <= count {
				spent = append(spent, 0)
			}
			spent[count] += next.Sub(now)
			now = next
		}
		switch {
		case out < in && !times[out].Add(length).After(next) && next.Before(at):
			out++
			count--
		case in < len(times) && !times[in].After(next) && next.Before(at):
			in++
			count++
		default: // the instant itself: what came in the span that ends now
			return quantile(spent, at.Sub(from), count+len(times)-in)
		}
	}
}

// quantile is the count of which at most so much time had more; otherwise when
// there was no time.
func quantile(spent []time.Duration, whole time.Duration, otherwise int) int {
	if whole <= 0 {
		return otherwise
	}
	var below time.Duration
	for count, d := range spent {
		if below += d; below >= time.Duration(learnShare*float64(whole)) {
			return count
		}
	}
	return len(spent) - 1
}
