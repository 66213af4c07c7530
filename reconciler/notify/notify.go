// Package notify gathers the log of events from the records, and tells the world
// outside what of it is news: a Slack channel, and whoever listens at a webhook.
// What is told comes from the log alone: the loops only wake the Notifier, and
// what a crash or an outage of a target keeps from being told is told later.
// Every event is recorded once and told in order, at least once.
package notify

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"hangar/state"
)

// Store is what the Notifier needs of the store.
type Store interface {
	SetTargets(ctx context.Context, names []string, now time.Time, w state.Watch) error
	Gather(ctx context.Context, now time.Time, w state.Watch) (recorded int, err error)
	News(ctx context.Context, target string, limit int) ([]state.Event, error)
	Told(ctx context.Context, target string, seq int64) error
	Overage(ctx context.Context, target string, before time.Time) (n int, last int64, err error)
}

// Notifier gathers events and tells its targets of them.
type Notifier struct {
	Store   Store
	Targets []Target
	Watch   state.Watch

	Every       time.Duration // between two looks at the records
	Timeout     time.Duration // for an answer of a target
	Retry       time.Duration // after a first failure; twice as long after each further one
	RetryAtMost time.Duration
	Keep        time.Duration // after which an event that could not be told is dropped

	Gathered func() // called when events were recorded

	Now func() time.Time
	Log *slog.Logger

	client *http.Client
	wake   chan struct{}
}

// New returns a Notifier with its defaults.
func New(store Store, targets ...Target) *Notifier {
	return &Notifier{
		Store: store, Targets: targets, Watch: state.Watch{Overdue: time.Hour, Calm: time.Minute},
		Every: 5 * time.Second, Timeout: 10 * time.Second, Retry: time.Second, RetryAtMost: 5 * time.Minute, Keep: 24 * time.Hour,
		Gathered: func() {}, Now: time.Now, Log: slog.Default(), client: newClient(), wake: make(chan struct{}, 1),
	}
}

// Begin records who is told from now on.
func (n *Notifier) Begin(ctx context.Context) error {
	names := make([]string, 0, len(n.Targets))
	for _, t := range n.Targets {
		names = append(names, t.Name)
	}
	return n.Store.SetTargets(ctx, names, n.Now(), n.Watch)
}

// Gather records what has happened since the last time as events. Run does so; it
// is for the end, when what Run was to see last has happened.
func (n *Notifier) Gather(ctx context.Context) error {
	recorded, err := n.Store.Gather(ctx, n.Now(), n.Watch)
	if recorded > 0 {
		n.Gathered()
	}
	return err
}

// Poke asks for a look at the records. It never blocks; pokes coalesce.
func (n *Notifier) Poke() { poke(n.wake) }

func poke(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// Run gathers and tells until ctx ends: now, every Every and whenever it is
// poked. What fails is logged and tried again; it ends nothing.
func (n *Notifier) Run(ctx context.Context) error {
	var tellers sync.WaitGroup
	defer tellers.Wait()
	news := make([]chan struct{}, 0, len(n.Targets))
	for _, target := range n.Targets {
		teller := &teller{Notifier: n, Target: target, news: make(chan struct{}, 1)}
		news = append(news, teller.news)
		tellers.Go(func() { teller.run(ctx) })
	}
	tick := time.NewTicker(n.Every)
	defer tick.Stop()
	told := "" // a failure is told when it begins, changes and ends
	for {
		err := n.Gather(ctx)
		switch {
		case ctx.Err() != nil:
		case err == nil && told != "":
			n.Log.Info("events are gathered again")
			told = ""
		case err != nil && err.Error() != told:
			n.Log.Error("events cannot be gathered; it is tried again", "error", err)
			told = err.Error()
		}
		for _, wake := range news {
			poke(wake)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-n.wake:
		}
	}
}
