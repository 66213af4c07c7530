// Package simulator is a world without accounts: a Drone server, an Equinix
// Metal API and the machines between them, and a Terraform provider that
// stands in for equinix/equinix. Hangar runs against it as it does against
// the real ones.
package simulator

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Config is what a World is like. Zero fields get a default from New: a time
// a short one, a secret or id one drawn at random.
type Config struct {
	ServerToken string // Drone: an admin's token
	UserToken   string // Drone: the token of a user who is no admin
	RPCSecret   string // Drone: what runners must know
	APIKey      string // Metal: X-Auth-Token
	ProjectID   string // Metal: the one project

	BootTime   time.Duration // from a device's creation to active or failed
	SetupTime  time.Duration // from active to the runner's first request
	AcceptTime time.Duration // from a runner's acceptance of a stage to running
	BuildTime  time.Duration // for which a stage runs, unless it was enqueued with a time of its own
	ReapAfter  time.Duration // after which Drone ends a stage whose runner is gone, counted from its start; 24 hours, as there

	Seed uint64 // of ids and of the choice among runners; zero: random
}

// World holds a simulated Drone server, a simulated Metal API and the
// machines. Run must be running for time to pass in it.
type World struct {
	config Config
	ids    *rand.ChaCha8
	rand   *rand.Rand
	wake   chan struct{} // tells Run that something is due at another time

	mu      sync.Mutex // guards what follows
	changed chan struct{}
	dirty   bool // something changed since the last broadcast
	faults  Faults
	dice    *rand.Rand // throws the faults
	devices []*Device  // in order of creation
	late    []*create
	made    int      // devices so far
	stages  []*stage // pending and running, by id
	taken   []*stage // those of them that a runner has accepted
	stats   Stats
	events  int // of builds, that Drone's webhook tells
	sshPort int // on which machines answer; zero: they do not
}

// New makes a world in which nothing exists yet.
func New(config Config) *World {
	if config.Seed == 0 {
		config.Seed = randomSeed()
	}
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], config.Seed)
	source := rand.NewChaCha8(key)
	w := &World{
		ids:     source,
		rand:    rand.New(source),
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}),
		dice:    newDice(0),
	}
	w.config = Config{
		ServerToken: cmp.Or(config.ServerToken, w.newID()),
		UserToken:   cmp.Or(config.UserToken, w.newID()),
		RPCSecret:   cmp.Or(config.RPCSecret, w.newID()),
		APIKey:      cmp.Or(config.APIKey, w.newID()),
		ProjectID:   cmp.Or(config.ProjectID, w.newID()),
		BootTime:    cmp.Or(config.BootTime, 2*time.Second),
		SetupTime:   cmp.Or(config.SetupTime, 100*time.Millisecond),
		AcceptTime:  cmp.Or(config.AcceptTime, 50*time.Millisecond),
		BuildTime:   cmp.Or(config.BuildTime, 3*time.Second),
		ReapAfter:   cmp.Or(config.ReapAfter, 24*time.Hour),
		Seed:        config.Seed,
	}
	return w
}

// Config returns the world's settings, defaults filled in.
func (w *World) Config() Config { return w.config }

// Run lets time pass until ctx is done: devices boot, runners ask for work,
// builds end.
func (w *World) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-timer.C:
		}
		w.mu.Lock()
		now := time.Now()
		w.advance(now)
		next := w.nextDue()
		w.mu.Unlock()
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(next.Sub(now), 0))
		}
	}
}

// Changed returns a channel that is closed at the next change in the world.
func (w *World) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// do runs f on the world as it is now, and whatever follows from it at once.
func (w *World) do(f func(now time.Time)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.advance(now)
	f(now)
	w.advance(now)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// advance lets everything happen that is due by now, each thing at its time,
// and tells of it. How often it is called makes no difference to what happens.
func (w *World) advance(now time.Time) {
	for at := w.nextDue(); !at.IsZero() && !at.After(now); at = w.nextDue() {
		w.step(at)
	}
	w.step(now)
	if w.dirty {
		w.dirty = false
		close(w.changed)
		w.changed = make(chan struct{})
	}
}

// step lets happen what is due at one time.
func (w *World) step(at time.Time) {
	w.commitLate(at)
	w.advanceDevices(at)
	w.advanceStages(at)
	w.advanceRunners(at)
	if w.dirty { // otherwise nobody waits for a runner that could not before
		w.schedule(at)
	}
}

// nextDue is the time of the next thing that happens by itself; zero: none.
func (w *World) nextDue() time.Time {
	var next time.Time
	due := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, c := range w.late {
		due(c.at)
	}
	for _, d := range w.devices {
		due(d.due)
		due(d.setUp)
		due(d.dies)
		if d.runner != nil {
			due(d.runner.due)
		}
	}
	for _, s := range w.taken {
		due(s.due)
	}
	return next
}

func (w *World) newID() string {
	id, err := uuid.NewRandomFromReader(w.ids)
	if err != nil {
		panic(err) // ChaCha8 has no errors
	}
	return id.String()
}

func randomSeed() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails: it crashes the program instead
	return binary.LittleEndian.Uint64(b[:])
}
