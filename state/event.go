package state

import "time"

// EventKind is what has happened.
type EventKind string

// The kinds of events.
const (
	ServerCreated   EventKind = "server.created"         // it runs, for the first time
	ServerDestroyed EventKind = "server.destroyed"       // its device is gone: the provider's list shows it no more
	ServerError     EventKind = "server.error"           // it went wrong
	PoolHeld        EventKind = "pool.held"              // a pool's creates are held back by its budget or by failures
	PoolReleased    EventKind = "pool.held.ended"        // they are no more
	PlanRefused     EventKind = "plan.refused"           // the guard refused a plan
	FindingBegan    EventKind = "finding"                // a sweep found a difference that it had not found before
	FindingEnded    EventKind = "finding.ended"          // it is found no more
	DrainOverdue    EventKind = "drain.overdue"          // a server has waited for its builds for very long
	StagesUnmatched EventKind = "stages.unmatched"       // stages wait that no pool may run
	StagesMatched   EventKind = "stages.unmatched.ended" // they wait no more

	ServerPhase     EventKind = "server.phase"  // it came into another phase than one of the above, or into error: server.error says why when that is known
	RunWaits        EventKind = "run.waits"     // a plan waits for the approval of an admin
	RunBegun        EventKind = "run.begun"     // a plan is being made; run.planned, run.applying and so on tell how far a run is, by its RunPhase
	DecisionMade    EventKind = "decision"      // a decision that moves a server or makes one
	OrderedServer   EventKind = "order.create"  // a person asked for a server
	OrderedDestroy  EventKind = "order.destroy" // a person asked for a server to be destroyed
	OrderedAdoption EventKind = "order.adopt"   // a person had the machines that were held taken over
	OrderedRemoval  EventKind = "order.remove"  // a person had them removed
	PauseBegan      EventKind = "pause"         // a person paused the making and removing of servers
	PauseEnded      EventKind = "pause.ended"   // a person ended that
)

// Event is something that has happened. What does not apply to its kind is
// empty.
type Event struct {
	Seq      int64     `json:"seq"` // its place in the log of events, from 1; later ones have higher ones
	ID       string    `json:"id"`  // unique, also among installations; the same however often it is told
	Kind     EventKind `json:"event"`
	At       time.Time `json:"at"`
	Instance string    `json:"instance"` // the installation

	Pool   string `json:"pool,omitempty"`
	Server string `json:"server,omitempty"`
	Stack  string `json:"stack,omitempty"`
	Phase  Phase  `json:"phase,omitempty"`  // the server's, then
	Reason string `json:"reason,omitempty"` // in words
	Error  string `json:"error,omitempty"`  // what went wrong, in words

	Provider string    `json:"provider,omitempty"`
	Region   string    `json:"region,omitempty"`
	Size     string    `json:"size,omitempty"`
	Device   string    `json:"device,omitempty"` // id
	Address  string    `json:"address,omitempty"`
	Created  time.Time `json:"created,omitzero"` // the server was decided
	Started  time.Time `json:"started,omitzero"` // it has been running since

	Held    string      `json:"held,omitempty"`    // what holds the pool back: budget, cost, backoff
	Run     int64       `json:"run,omitempty"`     // id
	Finding FindingKind `json:"finding,omitempty"` // what was found
	Action  string      `json:"action,omitempty"`  // what is done about it, in words
	Asks    string      `json:"asks,omitempty"`    // what the stages ask for
	Stages  []int64     `json:"stages,omitempty"`  // their ids

	Decision int64  `json:"decision,omitempty"` // id
	By       string `json:"by,omitempty"`       // login of the person who did it
}

// EventFilter selects events; zero fields select all.
type EventFilter struct {
	Server string
	Stack  string
	Kinds  []EventKind // one of these; server stands for all that begin with server., too
	After  int64       // places above this one
	Limit  int         // at most; zero: 100
}

// Order is what a person asked for.
type Order struct {
	Kind   EventKind // OrderedServer and the like
	Server string    // empty: it is about no single one
	By     string    // login
	Reason string    // in words
}

// Watch says what counts as news when events are gathered.
type Watch struct {
	Overdue time.Duration // a drain that takes longer is an event
	Calm    time.Duration // what holds a pool back, and stages that match no pool, have ended when they were not seen for so long
}
