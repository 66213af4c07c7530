package state

import "time"

// Sample is what one pool was like at an instant, or the most that it was in a
// span of time.
type Sample struct {
	At       time.Time // of the instant, or the begin of the span
	Pool     string
	Demand   int           // stages that wait for the pool or run on it
	Capacity int           // stages that its servers, present and on their way, can run
	Machines int           // servers that are billed
	Wait     time.Duration // of the stage that has waited longest, for a machine of any pool
	Cost     float64       // of the pool's servers since the day (UTC) began
}
