// Package state holds Hangar's nouns: servers, devices, pools, stacks, runs,
// state versions and decisions. It knows no technology and imports only the
// standard library; everything else in the program speaks in its terms.
package state

import (
	"fmt"
	"time"
)

// Phase is where a server is in its life, spelled as drone/autoscaler spells
// it, so that its command line tools keep working.
type Phase string

// The phases of a server, in the order in which it passes through them.
const (
	Pending  Phase = "pending"  // decided, its create not begun
	Creating Phase = "creating" // its create has begun; a device may exist
	Created  Phase = "created"  // the device exists
	Staging  Phase = "staging"  // the device is being set up
	Running  Phase = "running"  // it takes stages
	Shutdown Phase = "shutdown" // it drains: it is to take no more stages
	Stopping Phase = "stopping" // out of its stack's wanted set; to be destroyed
	Stopped  Phase = "stopped"  // gone
	Failed   Phase = "error"    // it went wrong; it may still be billed
)

// Usable says whether a server of this phase is, or is about to become,
// capacity for stages.
func (p Phase) Usable() bool {
	switch p {
	case Pending, Creating, Created, Staging, Running:
		return true
	}
	return false
}

// Wanted says whether a server of this phase is to be in its stack. An errored
// server is, until it is known that nothing runs on it: nothing is destroyed
// on a guess.
func (p Phase) Wanted() bool { return p != Stopping && p != Stopped }

// Absence is why no device of a server is thought to exist, although a create
// of it had begun; empty: one does, or may.
type Absence string

// The absences.
const (
	Refused Absence = "refused" // the provider's API refused for good to create it; in doubt until a first look has told
	Lost    Absence = "lost"    // none was found by the end of the settle time
	Missing Absence = "missing" // the provider's list shows it no more, though nobody here destroyed it
)

// Server is the record of a build machine, from wanted to gone. Its name is
// also the device's host name and the Drone runner's name, and is used once.
type Server struct {
	Name  string // host name and Drone machine name
	Pool  string
	Stack string
	Phase Phase

	// Machine is the Drone machine name of what runs on its device, where that
	// is not Name: its device was made for another server, and is a double or an
	// orphan.
	Machine string

	Provider string  // name of the module that makes it, for example packet
	Capacity int     // stages it runs at once
	Price    float64 // an hour; 0: not known
	Spec     string  // Candidate.Spec at its birth; empty: not known

	// What Terraform, or a census, told of its device; empty until it exists.
	Device

	Began  time.Time // its create began; zero: it has not, or its device was found
	Absent Absence   // why no device of it is thought to exist
	// Taken says that its device no longer carries this installation's tag, but
	// another's or none: it is never touched then.
	Taken bool
	// Unseen is the first of the looks in a row that did not show its device; zero:
	// the newest one did, or there was none.
	Unseen time.Time
	Agent
	// Doubt is set while it is not known whether its device exists: it may after
	// a create of which terraform knows no device, and after a destruction that
	// only terraform has told of. A look that begins at this time or later, and
	// does not find it, decides that it does not.
	Doubt time.Time

	Reason    string // why it is in its phase, in words
	Error     string // what went wrong, in words; kept when it is gone
	Ordered   bool   // a person asked for it to be made: it is not given up before it was
	Condemned bool   // a person asked for it to leave: it is never put back to work
	Forced    bool   // a person's force: destroyed even with a stage on it
	// Waits is the run that is to create or destroy it and waits for a person; 0:
	// none does. Until its destruction is approved it may be put back to work.
	Waits int64

	Progress Progress // what terraform is doing to it; zero when nothing

	Created time.Time // decided
	Updated time.Time // last change of phase
	Started time.Time // running since; billing starts about here
	Stopped time.Time // gone since

	Served     time.Time // a stage was first seen on it; zero: never
	IdleSince  time.Time // first of the reads since which it holds no stage; zero: busy or not running
	QuietSince time.Time // the same, while it drains
}

// Why says in words why it is in its phase, and what it waits for there.
func (s Server) Why() string {
	if s.Waits == 0 {
		return s.Reason
	}
	return fmt.Sprintf("%s; run %d waits for the approval of an admin", s.Reason, s.Waits)
}

// Runner is the Drone machine name of what runs on its device.
func (s Server) Runner() string {
	if s.Machine != "" {
		return s.Machine
	}
	return s.Name
}

// Double says whether what runs on its device goes by another server's name, or
// did: the queue cannot tell the two apart.
func (s Server) Double() bool { return s.Machine != "" && s.Machine != s.Name }

// Billed says whether the server counts against its pool's maximum: its device
// exists, may exist, or is about to.
func (s Server) Billed() bool { return s.Phase != Stopped && (s.Absent == "" || !s.Doubt.IsZero()) }

// Booting says whether the last look showed a device that is not active yet,
// and that cannot be destroyed before it is.
func (s Server) Booting() bool { return s.State == string(FoundBooting) }

// Reachable says whether there can be a runner on the server's machine that is
// reached over SSH: it has an address, and its device is not known to be of no
// use.
func (s Server) Reachable() bool {
	return s.Address != "" && s.Absent == "" && s.State != string(FoundFailed) && s.State != string(FoundBooting)
}

// Tainted is the state of a device that Terraform has marked as tainted: it
// exists, but its create failed, and the next plan would replace it.
const Tainted = "tainted"

// Device is what exists, and is billed, at the provider, as a module's output
// tells it. Fields that a provider does not know are empty.
type Device struct {
	ID             string `json:"id"`
	Address        string `json:"address"`
	PrivateAddress string `json:"private_address"`
	State          string `json:"state"`
	Region         string `json:"region"`
	Size           string `json:"size"`
	Image          string `json:"image"`
}

// Progress is what terraform is doing to one server.
type Progress struct {
	Action  string        `json:"action"`  // create, delete; empty: nothing
	Elapsed time.Duration `json:"elapsed"` // since the action began
}
