package state

import (
	"slices"
	"time"
)

// Pool is servers of one kind: which stages they may run, how many there may
// be, and where they come from.
type Pool struct {
	Name        string
	Min, Max    int    // servers
	Buffer      int    // stages for which there is to be room beyond the demand
	LearnBuffer bool   // Buffer is learned from how stages come and how long servers take
	Learned     string // how, in words
	Concurrency int    // stages that one server runs at once
	NamePrefix  string

	Platform Platform
	Labels   map[string]string

	Schedule string   // the name of the schedule from which Min, Max and Buffer are; empty: none
	Static   []string // Drone machine names of runners that exist anyway; they are used first

	MinAge        time.Duration // a server is not removed before this age
	Idle          time.Duration // nor before it has been idle for so long
	BillingPeriod time.Duration // nor, unless zero, outside the closing minutes of a paid period

	CreateBudget int // creates within an hour that never served a stage; no more are begun

	// Budget is what its servers may cost in a day (UTC), in the currency of the
	// candidates' prices; 0: no bound.
	Budget float64

	// Servers that are no longer made as new ones would be are replaced when they
	// are idle: so many may be missing meanwhile, and so many more may be made
	// ahead, within Max.
	MaxUnavailable, MaxSurge int

	Candidates []Candidate // in order of preference; at least one
}

// Outdated says whether the pool would not make a server like this one any more.
// One of which it is not known is not outdated.
func (p Pool) Outdated(s Server) bool {
	return s.Spec != "" && !slices.ContainsFunc(p.Candidates, func(c Candidate) bool { return c.Spec == s.Spec || c.Spec == "" })
}

// Roster is the pools as they are at one instant.
type Roster struct {
	Pools []Pool
	Max   int // servers of all pools together; 0: no bound
}

// At returns the roster itself: it is the same at every instant.
func (r Roster) At(time.Time) Roster { return r }

// Pool returns the pool of that name; the zero Pool when there is none.
func (r Roster) Pool(name string) Pool {
	for _, p := range r.Pools {
		if p.Name == name {
			return p
		}
	}
	return Pool{}
}

// Platform is what a runner tells the Drone server of itself.
type Platform struct {
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Variant string `json:"variant,omitempty"`
	Kernel  string `json:"kernel,omitempty"`
}

// Candidate is one place and plan from which a pool's servers can come, and
// the Terraform module that makes them there.
type Candidate struct {
	Name     string         // unique in its pool, for people: ewr1/c3.small.x86
	Provider string         // the module's name, for example packet
	Module   string         // folder of the module's content-addressed copy, <name>-<hash>
	Resource string         // the module's server resource, for example equinix_metal_device.server
	Settings map[string]any // the module's settings: string, bool, float64, []any, map[string]any
	Price    float64        // of a server, an hour; 0: not known
	// Spec is a digest of all that a new server is made of: the module, its
	// settings, and the agent's. A server of another one is outdated. Empty: not
	// known.
	Spec string
}

// Stage is one entry of Drone's build queue.
type Stage struct {
	ID      int64             `json:"id"`
	RepoID  int64             `json:"repo_id"`
	BuildID int64             `json:"build_id"`
	Name    string            `json:"name"`
	Kind    string            `json:"kind,omitempty"` // empty: pipeline
	Type    string            `json:"type,omitempty"` // empty: docker
	Running bool              `json:"running"`        // else pending
	Machine string            `json:"machine,omitempty"`
	OS      string            `json:"os"`
	Arch    string            `json:"arch"`
	Variant string            `json:"variant,omitempty"`
	Kernel  string            `json:"kernel,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	// Limit bounds the stages of the same repository and name, Throttle those
	// of the same repository; zero: no bound.
	Limit    int       `json:"limit,omitempty"`
	Throttle int       `json:"throttle,omitempty"`
	Created  time.Time `json:"created"`
}
