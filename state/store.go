package state

import "time"

// Snapshot is what the store knew at one instant.
type Snapshot struct {
	Unclean  map[string]string // stacks that are not planned again, and why
	Servers  []Server          // all but the stopped ones, in order of creation, then name
	Backoffs []Backoff
	Paused   bool
	Open     []Stack  // stacks that new servers may still join: never run
	Last     Decision // the newest recorded one; zero: none yet
}

// Changes is what one pass of the reconciler commits, all or nothing. When
// what it builds on is no longer so (a server has left From, a joined stack
// has begun its first run), nothing is committed and the error is Conflict.
type Changes struct {
	At       time.Time
	Decision *Decision // nil: nothing worth recording
	Stacks   []Stack   // to be made, at generation 1
	Servers  []Server  // to be made, pending, in one of Stacks or in an open one
	Moves    []Move
	Marks    []Mark
	Backoff  *Backoff // to be remembered; nil: none
}

// Move takes a server from one phase to another, or with the same phase twice
// only sets its flags. A move that changes whether the server is wanted in its
// stack, and a server that joins an open stack, raise the stack's generation.
type Move struct {
	Server    string
	From, To  Phase
	Reason    string
	Condemned bool // set, never cleared
	Forced    bool // set, never cleared
}

// Mark remembers what a read of the queue showed of a server. It never
// conflicts: it is dropped when the server is no longer in Phase.
type Mark struct {
	Server     string
	Phase      Phase
	Served     time.Time
	IdleSince  time.Time
	QuietSince time.Time
}

// Finish is the end of a run, recorded all or nothing.
type Finish struct {
	Run         int64
	Phase       RunPhase
	At          time.Time
	Verdict     string
	Error       string
	Diagnostics []Diagnostic
	Log         string

	Applied bool      // the stack's applied generation becomes the run's
	Unclean string    // why the stack is not to be planned again; empty: it may be
	RetryAt time.Time // when the stack may be planned again; zero: at once. A time counts as a failure, zero clears their count

	Version *StateVersion     // nil: the state could not be read
	Outputs map[string]Device // the state's devices; nil: could not be read
	Servers []Outcome
	Backoff *Backoff // to be remembered for the candidate; nil: cleared when Applied
}

// Outcome is how a run left one server.
type Outcome struct {
	Server string
	Phase  Phase // its phase now
	Device *Device
	Reason string
	Error  string
}

// RunFilter selects runs; zero fields select all.
type RunFilter struct {
	Stack  string
	Phase  RunPhase
	Before int64 // ids below this one; zero: from the newest
	Limit  int   // at most; zero: 100
}
