package scale

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"hangar/state"
)

// ask is what one or more stages ask for. A queue of thousands of stages asks
// for a handful of things, so that pools are matched against asks.
type ask struct {
	example *state.Stage
	fleets  []*fleet // that may run it, in the order given
	missed  []int64  // waiting stages, when no fleet may run it
}

// seat is where a waiting stage counts.
type seat struct {
	stage *state.Stage
	ask   *ask
	fleet *fleet // nil: none may run it
	bound bound  // what holds it back; 0: nothing
}

// spread counts each waiting stage in one fleet, the oldest stage first: in the
// first fleet, in the order given, that may run it and has room left, or if
// none has, in the first that may run it. It returns the stages that no fleet
// may run, and tells seated of each stage.
func spread(o Observation, fleets []*fleet, pools []state.Pool, seated func(seat)) []state.Unmatched {
	var (
		stages = o.Stages
		held   = bounds(stages)
		book   = askBook{fleets: fleets, asks: make(map[askKey]*ask)}
	)
	doubtStatic(o, held, &book)
	for _, i := range byAge(stages) {
		s := &stages[i]
		if !waits(s) {
			continue
		}
		a := book.of(s)
		var f *fleet
		switch {
		case len(a.fleets) == 0 && held[i] > 0: // it asks for nothing yet
		case len(a.fleets) == 0:
			a.missed = append(a.missed, s.ID)
		case held[i] > 0:
			f = a.fleets[0]
			f.heldBack++
		default:
			f = a.fleets[0]
			if n := slices.IndexFunc(a.fleets, (*fleet).hasRoom); n >= 0 {
				f = a.fleets[n]
			}
			f.waiting++
		}
		seated(seat{s, a, f, held[i]})
	}
	return book.unmatched(pools)
}

// StaticPatience is for how long a stage may wait while a runner that exists
// anyway has room for it, until that runner is taken to be down: a live one takes
// a stage at once.
const StaticPatience = time.Minute

// doubtStatic takes back the room of runners that exist anyway where stages wait
// for them in vain. Nothing else tells that they are down: Drone knows of no
// agents but by the stages that they take.
func doubtStatic(o Observation, held []bound, book *askBook) {
	if !slices.ContainsFunc(book.fleets, func(f *fleet) bool { return f.static > 0 }) {
		return
	}
	for i := range o.Stages {
		s := &o.Stages[i]
		if !waits(s) || held[i] > 0 || o.At.Sub(s.Created) < StaticPatience {
			continue
		}
		for _, f := range book.of(s).fleets {
			f.free, f.ready, f.static = f.free-f.static, f.ready-f.static, 0
		}
	}
}

// askBook finds the ask of a stage.
type askBook struct {
	fleets []*fleet
	asks   map[askKey]*ask
	order  []*ask // as they were first asked for

	names  []string // of labels; both are reused from stage to stage, so that
	labels []byte   // finding a known ask allocates nothing
}

// askKey is what a stage asks for, comparable.
type askKey struct{ kind, typ, os, arch, variant, kernel, labels string }

func (b *askBook) of(s *state.Stage) *ask {
	b.encode(s.Labels)
	k, t := cmp.Or(s.Kind, kind), cmp.Or(s.Type, typ)
	if a, ok := b.asks[askKey{k, t, s.OS, s.Arch, s.Variant, s.Kernel, string(b.labels)}]; ok {
		return a
	}
	a := &ask{example: s}
	for _, f := range b.fleets {
		if matches(s, f.pool) {
			a.fleets = append(a.fleets, f)
		}
	}
	b.asks[askKey{k, t, s.OS, s.Arch, s.Variant, s.Kernel, string(b.labels)}] = a
	b.order = append(b.order, a)
	return a
}

// encode writes the labels in order, with their lengths, so that no choice of
// texts can pass for another one.
func (b *askBook) encode(labels map[string]string) {
	b.names, b.labels = b.names[:0], b.labels[:0]
	for k := range labels {
		b.names = append(b.names, k)
	}
	slices.Sort(b.names)
	for _, k := range b.names {
		for _, text := range [...]string{k, labels[k]} {
			b.labels = binary.AppendUvarint(b.labels, uint64(len(text)))
			b.labels = append(b.labels, text...)
		}
	}
}

// told is how many different asks that no pool may run are told one by one.
const told = 100

// unmatched lists what no pool may run, the oldest stage first. Past the first
// hundred different asks the rest are told together: nobody reads them, and
// each costs a look at every pool.
func (b *askBook) unmatched(pools []state.Pool) []state.Unmatched {
	list := []state.Unmatched{}
	var rest state.Unmatched
	others := 0
	for _, a := range b.order {
		switch {
		case len(a.missed) == 0:
		case len(list) < told:
			list = append(list, state.Unmatched{
				Stages: a.missed,
				Asks:   asksFor(a.example),
				Reason: lacks(a.example, pools),
			})
		default:
			others++
			rest.Stages = append(rest.Stages, a.missed...)
		}
	}
	if others > 0 {
		rest.Asks, rest.Reason = count(others, "other thing"), "no pool may run them"
		list = append(list, rest)
	}
	return list
}
