// Package metrics tells Prometheus how hangar is: under the names of
// drone/autoscaler what that tells, under hangar_ the rest. What the records
// know is read from them when it is asked for; what happens is counted as the
// loops tell it, and begins anew with the process.
//
// Labels are pools and words of a fixed list, never servers or stacks: the
// number of series does not grow with the fleet. Each of them is there from the
// start, at 0, so that its first event is seen as an increase.
package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hangar/state"
)

// Store is what a scrape reads of the records.
type Store interface {
	Snapshot(ctx context.Context, now time.Time) (state.Snapshot, error)
	Findings(ctx context.Context) ([]state.Finding, error)
	UncleanStacks(ctx context.Context) (byPool map[string]int, err error)
	Awaiting(ctx context.Context) ([]state.Run, error)
}

// Pools tells which pools there are at an instant.
type Pools interface {
	At(t time.Time) state.Roster
}

// Metrics is the registry and what is counted. Its fields are set before its
// first use; its methods may be called at any time.
type Metrics struct {
	Processes func() int // terraform processes under way; 0 without it
	Now       func() time.Time
	Log       *slog.Logger

	store    Store
	pools    Pools
	registry *prometheus.Registry
	queue    queueFigures
	work     workFigures
	fleet    fleetFigures

	mu      sync.Mutex // guards what follows, which passes of the fast loop leave
	read    time.Time  // the queue was last read; at first, when the process began
	oldest  time.Duration
	overdue map[string]int // servers, by pool
	waits   waits
	lives   map[string]life // nil before the first pass
}

// New returns the metrics of an installation with these records and pools.
func New(store Store, pools Pools) *Metrics {
	m := &Metrics{
		Processes: func() int { return 0 }, Now: time.Now, Log: slog.Default(),
		store: store, pools: pools, registry: prometheus.NewRegistry(), read: time.Now(), overdue: map[string]int{},
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), records{m})
	m.queue.register(m)
	m.work.register(m)
	m.fleet.register(m)
	return m
}

// Handler answers a scrape, in Prometheus' text format. When the records cannot
// be read it answers 500, and the log tells why: half an answer would look as
// if servers had gone.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(prometheus.GathererFunc(func() ([]*family, error) {
		families, err := m.registry.Gather()
		if err != nil {
			m.Log.Error("metrics could not be gathered", "error", err)
			return nil, errors.New("hangar's records cannot be read; its log says why")
		}
		return families, nil
	}), promhttp.HandlerOpts{})
}

// gauge registers a gauge that is asked for its value at each scrape.
func (m *Metrics) gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// histogram registers a histogram with one label, and makes its series.
func (m *Metrics) histogram(name, help, label string, buckets []float64, values ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{label})
	for _, v := range values {
		h.WithLabelValues(v)
	}
	m.registry.MustRegister(h)
	return h
}

// counter registers a counter without labels.
func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.registry.MustRegister(c)
	return c
}

// tally is a count under a name of drone/autoscaler that does not end in
// _total. It is exposed without a type: Prometheus' own linter refuses such a
// name for a counter, and queries do not look at types.
type tally struct{ n atomic.Int64 }

func (m *Metrics) tally(name, help string) *tally {
	t := &tally{}
	m.registry.MustRegister(prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: name, Help: help}, func() float64 { return float64(t.n.Load()) }))
	return t
}

func (t *tally) add(n int) { t.n.Add(int64(n)) }

func (m *Metrics) poolNames() []string {
	pools := m.pools.At(m.Now()).Pools
	names := make([]string, len(pools))
	for i, p := range pools {
		names[i] = p.Name
	}
	return names
}
