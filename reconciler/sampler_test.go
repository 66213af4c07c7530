package reconciler

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// sampled keeps samples.
type sampled struct {
	samples []state.Sample
	err     error
}

func (s *sampled) Samples(context.Context, time.Time, time.Duration) ([]state.Sample, error) {
	return slices.Clone(s.samples), nil
}

func (s *sampled) AddSamples(_ context.Context, samples []state.Sample) error {
	s.samples = append(s.samples, samples...)
	return s.err
}

func TestSampler(t *testing.T) {
	var log strings.Builder
	store := &sampled{}
	s := Sampler{Store: store, Every: time.Minute, Wait: func() time.Duration { return 7 * time.Second }, Log: slog.New(slog.NewTextHandler(&log, nil))}
	begin := time.Unix(1e9, 0)
	pass := func(seconds, waiting, usable int) {
		s.Decided(state.Decision{At: begin.Add(time.Duration(seconds) * time.Second), Pools: []state.PoolDecision{{Pool: "p", Waiting: waiting, Assigned: 1, Usable: usable, Billed: 1}}})
	}
	pass(0, 0, 2)
	pass(10, 5, 2) // a burst between two samples is seen
	pass(59, 0, 4)
	pass(60, 0, 2)
	pass(119, 9, 2)
	at := func(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }
	want := []state.Sample{
		{At: at(0), Pool: "p", Demand: 1, Capacity: 2, Machines: 1, Wait: 7 * time.Second},
		{At: at(60), Pool: "p", Demand: 6, Capacity: 4, Machines: 1, Wait: 7 * time.Second},
	}
	if !reflect.DeepEqual(store.samples, want) {
		t.Errorf("got %+v, want %+v", store.samples, want)
	}
	store.err = errors.New("the disk is full")
	pass(120, 0, 2)
	pass(121, 0, 2)
	if strings.Count(log.String(), "the disk is full") != 1 {
		t.Errorf("the log says\n%s", &log)
	}
}

// What does not change is kept for an hour at most, and lost to nobody who reads
// meanwhile.
func TestSamplerRests(t *testing.T) {
	store := &sampled{}
	s := Sampler{Store: store, Every: time.Minute, Wait: func() time.Duration { return 0 }, Log: slog.New(slog.DiscardHandler)}
	begin := time.Unix(1e9, 0).Truncate(time.Hour)
	var recorded []int // how many there are, at each minute
	for minute := range 150 {
		demand := 0
		if minute >= 100 {
			demand = 3
		}
		s.Decided(state.Decision{At: begin.Add(time.Duration(minute) * time.Minute), Pools: []state.PoolDecision{{Pool: "p", Waiting: demand}}})
		recorded = append(recorded, len(store.samples))
		all, err := s.Samples(t.Context(), begin, time.Minute)
		if err != nil || len(all) != minute+1 || all[minute].Demand != demand {
			t.Fatalf("at minute %d there are %d samples, %v", minute, len(all), err)
		}
	}
	for minute, want := range map[int]int{0: 1, 59: 1, 60: 61, 99: 61, 100: 101, 119: 101, 120: 121, 149: 121} {
		if recorded[minute] != want {
			t.Errorf("at minute %d %d are recorded, want %d", minute, recorded[minute], want)
		}
	}
	s.Flush()
	if len(store.samples) != 150 {
		t.Errorf("in the end %d are recorded", len(store.samples))
	}
	// Read by spans, with the cost that the store knows.
	store.samples = []state.Sample{{At: begin, Pool: "p", Cost: 5}}
	s.kept = []state.Sample{{At: begin.Add(time.Minute), Pool: "p"}, {At: begin.Add(11 * time.Minute), Pool: "p"}, {At: begin.Add(-time.Minute), Pool: "p"}}
	got, err := s.Samples(t.Context(), begin, 10*time.Minute)
	if want := []state.Sample{{At: begin, Pool: "p", Cost: 5}, {At: begin.Add(10 * time.Minute), Pool: "p", Cost: 5}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("by spans %+v, %v; want %+v", got, err, want)
	}
}
