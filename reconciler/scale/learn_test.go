package scale

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// learner is a queue that stages come to, one pool, and what is learned of them.
type learner struct {
	Arrivals
	pools  []state.Pool
	leads  map[string]state.Lead
	now    time.Time
	stages []state.Stage
}

func newLearner(lead time.Duration) *learner {
	return &learner{
		pools: []state.Pool{{Name: "default", Platform: state.Platform{OS: "linux", Arch: "amd64"}, LearnBuffer: true}},
		leads: map[string]state.Lead{"default": {Median: state.Seconds(lead), Of: 3}},
		now:   time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC),
	}
}

// come lets stages come, and others that ended go, and reads the queue.
func (l *learner) come(after time.Duration, ids ...int64) {
	l.now = l.now.Add(after)
	l.stages = nil
	for _, id := range ids {
		l.stages = append(l.stages, state.Stage{ID: id, OS: "linux", Arch: "amd64", Created: l.now})
	}
	l.See(l.now, l.stages, l.pools, l.leads)
}

func (l *learner) buffer() int { return l.Learn(l.now, l.pools, l.leads)[0].Buffer }

func TestLearnedBuffer(t *testing.T) {
	for _, c := range []struct {
		name string
		lead time.Duration
		do   func(*learner)
		want int
	}{
		{"nothing came", 10 * time.Minute, func(l *learner) { l.come(0); l.come(time.Hour) }, 0},
		{"one a minute", 10 * time.Minute, func(l *learner) {
			for id := range int64(120) {
				l.come(time.Minute, id+1)
			}
		}, 10},
		{"three together, every half hour: seldom, so in a third of the spans", 10 * time.Minute, func(l *learner) {
			for id := int64(1); id < 30; id += 3 {
				l.come(30*time.Minute, id, id+1, id+2)
			}
		}, 3},
		{"once in an hour, in less than a tenth of the spans", 5 * time.Minute, func(l *learner) {
			l.come(0)
			l.come(2*time.Hour, 1, 2, 3)
			l.come(20 * time.Minute)
		}, 0},
		{"a long queue that stays came once", 10 * time.Minute, func(l *learner) {
			l.come(0)
			l.come(0, 1, 2, 3, 4)
			l.come(40*time.Minute, 1, 2, 3, 4)
			l.come(90*time.Minute, 1, 2, 3, 4)
		}, 0},
		{"the first read knows when its stages were created", 10 * time.Minute, func(l *learner) {
			l.stages = []state.Stage{
				{ID: 3, OS: "linux", Arch: "amd64", Created: l.now.Add(-2 * time.Minute)},
				{ID: 1, OS: "linux", Arch: "amd64", Created: l.now.Add(-time.Hour)},
				{ID: 2, OS: "linux", Arch: "amd64", Created: l.now.Add(-9 * time.Minute)},
			}
			l.See(l.now, l.stages, l.pools, l.leads)
		}, 2},
		{"what no pool runs is not counted", 10 * time.Minute, func(l *learner) {
			l.come(0)
			l.See(l.now, []state.Stage{{ID: 1, OS: "windows", Arch: "amd64"}}, l.pools, l.leads)
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLearner(c.lead)
			c.do(l)
			if got := l.buffer(); got != c.want {
				t.Errorf("a buffer of %d, want %d", got, c.want)
			}
		})
	}
}

func TestNothingIsLearnedBeforeAServerHasRun(t *testing.T) {
	l := newLearner(0)
	l.leads = nil
	for id := range int64(60) {
		l.come(time.Second, id)
	}
	if p := l.Learn(l.now, l.pools, l.leads)[0]; p.Buffer != 0 || !strings.Contains(p.Learned, "not learned before") {
		t.Errorf("a buffer of %d: %s", p.Buffer, p.Learned)
	}
	if d := Decide(Observation{At: l.now}, l.Learn(l.now, l.pools, nil)); !strings.Contains(d.Pools[0].Reason, "not learned before a server has run") {
		t.Errorf("the reason does not tell: %s", d.Pools[0].Reason)
	}
}

// What is learned is the quantile of the counts of spans, as counting each second
// gives it, and what is too old is forgotten.
func TestLearnedAsCountedBySeconds(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		lead := time.Duration(1+random.IntN(1500)) * time.Second
		l := newLearner(lead)
		l.come(0)
		begun := l.now
		var came []time.Time
		for id := int64(1); l.now.Sub(begun) < 8*time.Hour; {
			batch := []int64{}
			for range 1 + random.IntN(4) {
				batch = append(batch, id)
				id++
			}
			l.come(time.Duration(1+random.IntN(900))*time.Second, batch...)
			for range batch {
				came = append(came, l.now)
			}
		}
		l.come(time.Duration(random.IntN(3000)) * time.Second)
		var counts []int
		for end := l.now.Add(-memory(lead)); end.Before(l.now); end = end.Add(time.Second) {
			n := 0
			for _, at := range came {
				if !at.After(end) && end.Sub(at) < lead {
					n++
				}
			}
			counts = append(counts, n)
		}
		slices.Sort(counts)
		want := counts[(len(counts)*9+9)/10-1]
		if got := l.buffer(); got != want {
			t.Errorf("seed %d, %s: %d, by counting %d", seed, lead, got, want)
		}
		if kept := len(l.times["default"]); kept == len(came) {
			t.Errorf("seed %d: all %d are remembered", seed, kept)
		}
	}
}

// A read in which nothing is new costs little, however long the queue is.
func BenchmarkLearn(b *testing.B) {
	l := newLearner(10 * time.Minute)
	var ids []int64
	for id := range int64(10_000) {
		ids = append(ids, id)
	}
	l.come(0)
	l.come(time.Minute, ids...)
	for b.Loop() {
		l.See(l.now, l.stages, l.pools, l.leads)
		l.Learn(l.now, l.pools, l.leads)
	}
}
