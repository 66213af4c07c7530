package state

import (
	"fmt"
	"strings"
	"time"
)

// Stack is one Terraform root module with a state of its own: one pool, one
// candidate and one module version, for life. Servers join it only before its
// first run; from then on it only shrinks.
type Stack struct {
	Name      string         `json:"name"`
	Pool      string         `json:"pool"`
	Provider  string         `json:"provider"`  // module name, for example packet
	Candidate string         `json:"candidate"` // Candidate.Name
	Settings  map[string]any `json:"settings"`  // Candidate.Settings at its birth
	Module    string         `json:"module"`    // Candidate.Module at its birth
	Resource  string         `json:"resource"`  // Candidate.Resource at its birth
	// Tag is what the tag hangar-stack of its devices says, where that is not
	// Name: a recovery stack is made for the devices of another one.
	Tag string `json:"tag,omitempty"`

	Generation int64 `json:"generation"` // counts changes of what is wanted
	Applied    int64 `json:"applied"`    // the generation that was last applied

	Unclean string `json:"unclean"` // why it is not run again before a look; empty: it may be

	LookAt    time.Time `json:"look_at,omitzero"`    // when its devices are looked for next; zero: not
	LookUntil time.Time `json:"look_until,omitzero"` // the look that begins at this time or later is the last one

	Failures int       `json:"failures"`
	RetryAt  time.Time `json:"retry_at,omitzero"` // not planned before

	Created time.Time `json:"created"`
	Emptied time.Time `json:"emptied,omitzero"` // when its last device was gone
}

// RunPhase is how far a run is.
type RunPhase string

// The phases of a run.
const (
	RunPlanning    RunPhase = "planning"
	RunPlanned     RunPhase = "planned"
	RunRefused     RunPhase = "refused" // by the guard
	RunApplying    RunPhase = "applying"
	RunApplied     RunPhase = "applied"
	RunErrored     RunPhase = "errored"
	RunInterrupted RunPhase = "interrupted" // hangar ended before it did
	RunDiscarded   RunPhase = "discarded"   // its plan was not applied
)

// Run is one plan of a stack and, when it passes, its apply.
type Run struct {
	ID         int64    `json:"id"`
	Stack      string   `json:"stack"`
	Pool       string   `json:"pool"`
	Generation int64    `json:"generation"`
	Decision   int64    `json:"decision"` // the newest one that changed what is wanted of the stack; 0: an order or a look did
	Phase      RunPhase `json:"phase"`
	Creates    []string `json:"creates"` // servers that it is to create
	Deletes    []string `json:"deletes"` // servers that it is to destroy
	Forced     []string `json:"forced"`  // those of Deletes that go whatever runs on them
	Keeps      []string `json:"keeps"`   // servers that it is to leave as they are
	// Imports are devices that it is to adopt: ids, by server. A run that
	// imports does nothing else.
	Imports map[string]string `json:"imports"`

	Verdict     string       `json:"verdict"` // the guard's, in words
	Error       string       `json:"error"`
	Diagnostics []Diagnostic `json:"diagnostics"` // terraform's own, in full, secrets masked

	// Waits is since when the planned run waited for a person; zero: it did not.
	// By is the login of who approved or discarded it.
	Waits    time.Time `json:"waits,omitzero"`
	Approved time.Time `json:"approved,omitzero"`
	By       string    `json:"by,omitempty"`
	Saved    Saved     `json:"saved,omitzero"`
	Timings  Timings   `json:"timings,omitzero"`

	Started  time.Time `json:"started"`
	Planned  time.Time `json:"planned,omitzero"`
	Applying time.Time `json:"applying,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
}

// Awaits says whether the run waits for a person's approval, or has it and is
// about to be applied: no process holds it, and a restart leaves it as it is.
func (r Run) Awaits() bool { return r.Phase == RunPlanned && !r.Waits.IsZero() }

// Undecided says whether the run waits for a person's approval.
func (r Run) Undecided() bool { return r.Awaits() && r.Approved.IsZero() }

// Saved tells a saved plan, and the state that it was made from, by the SHA-256
// of their files, in hex; empty: there is no such file.
type Saved struct {
	Plan  string `json:"plan"`
	State string `json:"state"`
}

// Timings is how long each phase of a run took, in seconds; 0: it has not come to
// it. Wait is from the plan to the begin of its apply.
type Timings struct {
	Init  float64 `json:"init,omitzero"`
	Plan  float64 `json:"plan,omitzero"`
	Show  float64 `json:"show,omitzero"`
	Guard float64 `json:"guard,omitzero"`
	Check float64 `json:"check,omitzero"`
	Wait  float64 `json:"wait,omitzero"`
	Apply float64 `json:"apply,omitzero"`
}

// String tells the phases that the run has come to: init 1.2s, plan 0.4s.
func (t Timings) String() string {
	var words []string
	for _, phase := range []struct {
		name    string
		seconds float64
	}{{"init", t.Init}, {"plan", t.Plan}, {"show", t.Show}, {"guard", t.Guard}, {"check", t.Check}, {"wait", t.Wait}, {"apply", t.Apply}} {
		if phase.seconds > 0 {
			took := time.Duration(phase.seconds * float64(time.Second))
			words = append(words, fmt.Sprintf("%s %s", phase.name, took.Round(time.Millisecond)))
		}
	}
	return strings.Join(words, ", ")
}

// Approval is which runs wait for a person's approval (DRONE_TERRAFORM_APPROVAL).
type Approval string

// The policies of approval. A run that only adopts devices never waits.
const (
	ApproveAuto     Approval = "auto"     // none
	ApproveDestroys Approval = "destroys" // those that destroy
	ApproveAll      Approval = "all"      // those that create or destroy
)

// Needs says whether a run waits for a person's approval.
func (a Approval) Needs(r Run) bool {
	switch a {
	case ApproveDestroys:
		return len(r.Deletes) > 0
	case ApproveAll:
		return len(r.Creates)+len(r.Deletes) > 0
	}
	return false
}

// Discard is that a person discarded what was asked for: it is not asked for
// again while the pool's demand is as it was then.
type Discard struct {
	Pool   string
	Server string // whose destruction it is; empty: that of creates in the pool
	At     time.Time
	By     string // login
	Demand Demand
}

// Demand is what a pool's size follows from.
type Demand struct {
	Stages int `json:"stages"` // in the queue, with a machine or without, that the pool may run
	Min    int `json:"min"`
	Buffer int `json:"buffer"`
}

// Diagnostic is an error or warning as terraform tells it.
type Diagnostic struct {
	Severity string `json:"severity"` // error, warning
	Summary  string `json:"summary"`
	Detail   string `json:"detail,omitempty"`
	Address  string `json:"address,omitempty"` // resource it is about
}

// Plan is what terraform intends, read from a saved plan file.
type Plan struct {
	Changes []Change // resource_changes of managed resources, no-ops included
	Drift   []Change // resource_drift
	Text    string   // as terraform prints it; secrets masked
	JSON    []byte   // terraform show -json; secrets masked
	Saved   Saved
	Timings Timings // of init, plan and show
}

// Change is a plan's intention for one resource.
type Change struct {
	Address  string   `json:"address"`
	Actions  []string `json:"actions"` // create, delete, update, no-op, read, forget
	ImportID string   `json:"import_id,omitempty"`
	// Companion is the server to which it belongs, as its module says; empty: it is a
	// server itself, or belongs to none.
	Companion string `json:"companion,omitempty"`
}

// Workspace is a stack with the servers that are to be rendered into it.
type Workspace struct {
	Stack   Stack
	Servers []Server          // in order of their names
	Imports map[string]string // ids of devices to be adopted, by server
}

// Census is the tag by which a census finds the stack's devices.
func (s Stack) Census() string {
	if strings.Contains(s.Tag, "=") { // its devices carry no tag of a stack
		return s.Tag
	}
	if s.Tag != "" {
		return "hangar-stack=" + s.Tag
	}
	return "hangar-stack=" + s.Name
}

// ApplyEvent is terraform's news of one server while it applies.
type ApplyEvent struct {
	Server  string
	Action  string // create, delete
	Elapsed time.Duration
	Done    bool   // the action is complete
	Failed  bool   // the action went wrong
	ID      string // of the device, once a create is done
	// Device is read from the state file, once a create is done and the file
	// shows it; nil otherwise.
	Device *Device
}

// ApplyResult is what terraform said in the course of an apply.
type ApplyResult struct {
	Begun       bool   // terraform began to act on a resource
	Log         string // its messages, a line each, secrets masked
	Diagnostics []Diagnostic
}

// StateVersion is a Terraform state after a run.
type StateVersion struct {
	Stack   string `json:"stack"`
	Serial  int64  `json:"serial"`
	Lineage string `json:"lineage"`
	SHA256  string `json:"sha256"` // of the bytes, hex
	Size    int    `json:"size"`   // of the bytes
	Run     int64  `json:"run"`
	// Decision is the run's.
	Decision int64     `json:"decision"`
	At       time.Time `json:"at"`
	Bytes    []byte    `json:"-"` // the state file as it was; holds secrets
}

// Sight is what a look for a stack's devices starts from.
type Sight struct {
	Stack   Stack
	Servers []Server          // all but the stopped ones, in order of their names
	InState map[string]Device // devices that the newest recorded state shows, by server
	Run     Run               // the newest one; of ID 0 when there is none
	Version *StateVersion     // the newest one, without its bytes; nil when there is none
}
