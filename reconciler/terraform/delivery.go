package terraform

import (
	"slices"
	"time"

	"hangar/state"
	"hangar/tfmodules"
)

// A created server is told of together with its device, which terraform
// writes into the state file a moment later; OpenTofu only at the end. So the
// file is read again and again, but not for ever.
const (
	deviceEvery  = 50 * time.Millisecond
	deviceWithin = 2 * time.Second
)

// delivery hands events on, those of created servers with their devices.
type delivery struct {
	dir     string
	module  tfmodules.Module
	on      func(state.ApplyEvent)
	waiting []waiting // for their devices, the oldest first
}

type waiting struct {
	event state.ApplyEvent
	until time.Time
}

func newDelivery(dir string, module tfmodules.Module, on func(state.ApplyEvent)) *delivery {
	return &delivery{dir: dir, module: module, on: on}
}

// run delivers events until there are no more.
func (d *delivery) run(events <-chan state.ApplyEvent) {
	tick := time.NewTicker(deviceEvery)
	defer tick.Stop()
	for {
		select {
		case e, ok := <-events:
			switch {
			case !ok:
				d.look(time.Now().Add(deviceWithin)) // the file is as it will be
				return
			case e.Done && e.Action == "create":
				d.waiting = append(d.waiting, waiting{e, time.Now().Add(deviceWithin)})
				d.look(time.Now())
			default:
				d.on(e)
			}
		case now := <-tick.C:
			d.look(now)
		}
	}
}

// look delivers the waiting events whose devices the state file shows, and
// those that have waited long enough.
func (d *delivery) look(now time.Time) {
	if len(d.waiting) == 0 {
		return
	}
	devices, err := devices(d.dir, d.module)
	if err != nil {
		devices = nil // half written: the next look will do
	}
	d.waiting = slices.DeleteFunc(d.waiting, func(w waiting) bool {
		device, shown := devices[w.event.Server] // its name is its alone, for ever
		if shown {
			w.event.Device = &device
		}
		if shown || !now.Before(w.until) {
			d.on(w.event)
			return true
		}
		return false
	})
}
