package simulator

import (
	"slices"
	"time"
)

// Stats counts what has happened in a world.
type Stats struct {
	Builds    int // enqueued
	Succeeded int
	Failed    int // killed: their machine was destroyed under a runner that lived
	Orphaned  int // ended by Drone's reaper, long after their runner had died
	Waiting   int // now: no runner has accepted them
	Running   int // now: accepted, pending or running

	Created   int // devices committed
	Destroyed int // devices deleted
	Alive     int // now: devices that nobody has deleted
	MaxAlive  int // the most there ever were at once

	Waits []time.Duration // from a stage's creation to its acceptance, in order of acceptance
}

// Stats returns the counts as they are now.
func (w *World) Stats() Stats {
	var s Stats
	w.do(func(time.Time) {
		s = w.stats
		s.Waits = slices.Clone(s.Waits)
		s.Alive = w.alive()
		for _, stage := range w.stages {
			if stage.device == nil {
				s.Waiting++
			} else {
				s.Running++
			}
		}
	})
	return s
}
