package state

import "time"

// Snapshot is what the store knew at one instant.
type Snapshot struct {
	Servers  []Server // all but the stopped ones, in order of creation, then name
	Backoffs []Backoff
	Spent    map[string]Spent // by pool
	Paused   bool
	Open     []Stack  // stacks that new servers may still join: never run
	Last     Decision // the newest recorded one; zero: none yet
	Discards []Discard
}

// Spent is what a pool has used of its budgets. Of the creation budget: servers
// whose create began within the last hour and that have not served a stage
// since. What the API refused to create is not among them.
type Spent struct {
	Creates int
	Oldest  time.Time // when the create of the first of them began
	// Cost is that of the pool's servers since the day (UTC) began; Unpriced is for
	// how long those were there whose price is not known.
	Cost     float64
	Unpriced time.Duration
}

// Changes is what one pass of the reconciler commits, all or nothing. When
// what it builds on is no longer so (a server has left From, a joined stack
// has begun its first run), nothing is committed and the error is Conflict.
type Changes struct {
	At       time.Time
	Decision *Decision // nil: nothing worth recording
	Stacks   []Stack   // to be made, at generation 1
	Servers  []Server  // to be made, pending unless they have a phase, in one of Stacks or in an open one
	Moves    []Move
	Marks    []Mark
	Backoff  *Backoff // to be remembered; nil: none
	Order    *Order   // by which a person asked for this; nil: nobody did

	Sightings []Sighting
	Looks     []Look
	Over      []Discard // that no longer count: what they kept may be asked for again
	Findings  []Finding // seen now; those of before that are not among them stay
	Swept     bool      // Findings are all there are: those of before that are not among them have ended
	TakenOver bool      // what was there before these records has been seen: see sqlite.Store.Takeover
}

// Audit is what the newest sweep found.
type Audit struct {
	At       time.Time `json:"at,omitzero"`     // when the sweep began; zero: there was none yet
	Devices  int       `json:"devices"`         // of this installation that the provider shows
	Error    string    `json:"error"`           // why it could not look everywhere; empty: it could
	Blind    []string  `json:"blind,omitempty"` // modules without a census: nobody can look for their machines
	Findings []Finding `json:"findings"`        // the oldest first
	Early    bool      `json:"-"`               // what was there before these records may not all have been seen
}

// Sighting is what a look at the provider's list, or at a machine, tells of one
// server. It is a Conflict when the server is no longer as it was looked at: in
// another phase, or with another device or doubt.
type Sighting struct {
	Seen   Server // as it was looked at
	To     Phase
	Device Device
	Agent  Agent
	Taken  bool
	Unseen time.Time
	Absent Absence
	Doubt  time.Time
	Reason string // empty: stays
	Error  string // empty: stays

	Condemned bool // set, never cleared
}

// Seen returns a sighting that changes nothing of a server.
func Seen(s Server) Sighting {
	return Sighting{Seen: s, To: s.Phase, Device: s.Device, Agent: s.Agent, Taken: s.Taken, Unseen: s.Unseen, Absent: s.Absent, Doubt: s.Doubt}
}

// Look is the end of a look for a stack's devices. It is a Conflict when
// something else is wanted of the stack, or a run of it has begun, was applied
// or has ended, since it was seen. A look that was asked for since stays asked
// for.
type Look struct {
	Seen     Stack
	Run      int64 // the newest one of the stack when the look began; 0: none
	RunPhase RunPhase

	Next    time.Time         // when to look again; zero: not
	Clean   bool              // the stack may be run again
	Raise   bool              // there may be something to run
	Failed  bool              // a destruction has to be made again: it counts as a failure of the stack
	RetryAt time.Time         // with Failed: not run before
	Settled bool              // a destruction was verified: earlier failures count no more
	Version *StateVersion     // nil: as recorded
	Outputs map[string]Device // nil: as recorded
}

// FindingKind is what is wrong with a device.
type FindingKind string

// The kinds of findings.
const (
	Orphan      FindingKind = "orphan"      // tagged ours, in no state and no record
	Duplicate   FindingKind = "duplicate"   // a second device of one server
	Gone        FindingKind = "missing"     // in a record, not at the provider
	Drifted     FindingKind = "drifted"     // changed by hand
	Unreadable  FindingKind = "unreadable"  // a census that failed: nothing is known
	Implausible FindingKind = "implausible" // a census that shows too little to be believed: nothing is concluded
)

// Finding is a difference between the records, the Terraform states and the
// provider's own list.
type Finding struct {
	Kind    FindingKind `json:"kind"`
	Device  string      `json:"device"` // id; empty: it is not about one
	Server  string      `json:"server"`
	Stack   string      `json:"stack"`
	Address string      `json:"address"`
	Detail  string      `json:"detail"` // what is wrong, in words
	Action  string      `json:"action"` // what is done about it, in words
	Held    bool        `json:"held"`   // it waits for a person's decision

	First time.Time `json:"first"`          // seen
	Last  time.Time `json:"last"`           // seen
	Ended time.Time `json:"ended,omitzero"` // zero: it still is so
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
	Reason     string // empty: stays
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
	Unclean string    // why the stack is not to be run again before a look; empty: it may be
	RetryAt time.Time // when the stack may be planned again; zero: at once. A time counts as a failure, zero clears their count

	Timings Timings // of a run that ended before its plan was recorded

	LookAt    time.Time // when to look for the stack's devices; zero: as it was
	LookUntil time.Time // until when to go on looking, at least

	Version *StateVersion     // nil: the state could not be read
	Outputs map[string]Device // the state's devices; nil: could not be read
	Servers []Outcome
	Backoff *Backoff // to be remembered for the candidate; nil: cleared when Applied
}

// Outcome is how a run left one server.
type Outcome struct {
	Server string
	Phase  Phase // its phase now; empty: as it was
	Device *Device
	Absent Absence
	Doubt  time.Time
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
