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

// What does not change is recorded once in an hour, and the last of it before
// what comes then.
func TestSamplerRests(t *testing.T) {
	store := &sampled{}
	s := Sampler{Store: store, Every: time.Minute, Wait: func() time.Duration { return 0 }, Log: slog.New(slog.DiscardHandler)}
	begin := time.Unix(1e9, 0).Truncate(time.Hour)
	for minute := range 150 {
		demand := 0
		if minute >= 100 {
			demand = 3
		}
		s.Decided(state.Decision{At: begin.Add(time.Duration(minute) * time.Minute), Pools: []state.PoolDecision{{Pool: "p", Waiting: demand}}})
	}
	var got []int
	for _, sample := range store.samples {
		got = append(got, int(sample.At.Sub(begin).Minutes()), sample.Demand)
	}
	if want := []int{0, 0, 59, 0, 60, 0, 99, 0, 100, 3, 119, 3, 120, 3}; !slices.Equal(got, want) {
		t.Errorf("minutes and demand %v, want %v", got, want)
	}
}
