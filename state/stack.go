package state

import (
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

	Started  time.Time `json:"started"`
	Planned  time.Time `json:"planned,omitzero"`
	Applying time.Time `json:"applying,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
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
}

// Change is a plan's intention for one resource.
type Change struct {
	Address  string   `json:"address"`
	Actions  []string `json:"actions"` // create, delete, update, no-op, read, forget
	ImportID string   `json:"import_id,omitempty"`
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
	Stack   string    `json:"stack"`
	Serial  int64     `json:"serial"`
	Lineage string    `json:"lineage"`
	SHA256  string    `json:"sha256"` // of the bytes, hex
	Size    int       `json:"size"`   // of the bytes
	Run     int64     `json:"run"`
	At      time.Time `json:"at"`
	Bytes   []byte    `json:"-"` // the state file as it was; holds secrets
}

// Sight is what a look for a stack's devices starts from.
type Sight struct {
	Stack   Stack
	Servers []Server          // all but the stopped ones, in order of their names
	InState map[string]Device // devices that the newest recorded state shows, by server
	Run     Run               // the newest one; of ID 0 when there is none
	Version *StateVersion     // the newest one, without its bytes; nil when there is none
}
