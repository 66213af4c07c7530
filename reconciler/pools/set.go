// Package pools knows which pools there are: the one that the environment
// describes, or those of a file, which may change while hangar runs.
package pools

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"hangar/state"
	"hangar/tfmodules"
)

// Set is pools that have been found to be in order.
type Set struct {
	max     int
	pools   []pool
	Modules []tfmodules.Module  // that new servers are made by, each once
	Env     map[string][]string // names of the variables that a module's terraform gets, by its name
}

// pool is a pool as it is when none of its schedules applies.
type pool struct {
	state.Pool
	schedules []schedule // the first one that applies counts
}

// At returns the pools as they are at an instant: with the sizes that the
// schedules then give them.
func (s *Set) At(t time.Time) state.Roster {
	r := state.Roster{Max: s.max, Pools: make([]state.Pool, len(s.pools))}
	for i, p := range s.pools {
		r.Pools[i] = p.at(t)
	}
	return r
}

func (p pool) at(t time.Time) state.Pool {
	now := p.Pool
	for _, s := range p.schedules {
		if s.applies(t) {
			now = s.apply(now)
			break
		}
	}
	if now.CreateBudget == 0 {
		now.CreateBudget = 3 * now.Max
	}
	return now
}

// Environment is what pools are made with beside the file.
type Environment struct {
	// Pool is the pool that the environment describes. A pool of the file is the
	// same where it does not say otherwise. A CreateBudget of 0 is three times the
	// maximum.
	Pool state.Pool
	// Module is the module that makes its servers: the name of one that comes with
	// hangar, or a folder.
	Module string
	// Settings are what the environment says of a module's settings, by the
	// module's name; Candidates the places and plans in order of preference, as
	// settings that go on top of those.
	Settings   map[string]map[string]any
	Candidates map[string][]map[string]any
	// Usable says what else of the environment a module needs.
	Usable func(module string) error
	// Env are the names of variables that every module's terraform gets. Has says
	// whether there is such a variable, and whether it may be passed on.
	Env []string
	Has func(name string) error
	// Billed is what servers of a candidate are billed in. Nil: the environment says
	// itself when servers may leave.
	Billed func(state.Candidate) Billing
	// Agent is a digest of all that the agent on a server of the pool is told.
	Agent func(p state.Pool) string
}

// Billing is how servers are billed. The zero Billing is not known.
type Billing struct {
	Period  time.Duration // a begun one is paid for; 0: by the second, or the minute
	Minimum time.Duration // that is paid for in any case
}

// One returns the pool that the environment alone describes.
func (e Environment) One() (*Set, error) {
	b := newBuilder(e, ".")
	p := pool{Pool: e.Pool}
	m, err := b.module(e.Module)
	if err != nil {
		return nil, err
	}
	if p.Candidates, err = b.standard(p.Pool, m, nil); err != nil {
		return nil, err
	}
	e.paid(&p.Pool)
	b.set.pools = []pool{p}
	return &b.set, nil
}

// paid has the servers of a pool that does not say when they may leave stay as long
// as they are paid for, however idle: they cost no more, and more builds find
// them. All of its candidates must be billed alike.
func (e Environment) paid(p *state.Pool) {
	if e.Billed == nil || len(p.Candidates) == 0 {
		return
	}
	billing := e.Billed(p.Candidates[0])
	if slices.ContainsFunc(p.Candidates, func(c state.Candidate) bool { return e.Billed(c) != billing }) {
		return
	}
	switch {
	case billing.Period > 0:
		p.BillingPeriod, p.Idle = billing.Period, 0
	case billing.Minimum > 0:
		p.MinAge = billing.Minimum
	}
}

// standard are the candidates of a pool that names none itself: those of the
// environment, or one that is as the module says.
func (b *builder) standard(p state.Pool, m tfmodules.Module, settings map[string]any) ([]state.Candidate, error) {
	places := b.env.Candidates[m.Name]
	if len(places) == 0 {
		places = []map[string]any{{}}
	}
	var candidates []state.Candidate
	for _, place := range places {
		place = without(place, settings)
		k := candidate(m, join(b.env.Settings[m.Name], place, settings), nameOf(place, settings, m.Name))
		if slices.ContainsFunc(candidates, func(o state.Candidate) bool { return o.Name == k.Name }) {
			continue // what told them apart, the pool says itself
		}
		if err := m.CheckSettings(k.Settings); err != nil {
			return nil, err
		}
		k.Spec = b.spec(p, m, k.Settings)
		candidates = append(candidates, k)
	}
	return candidates, nil
}

// without is a place without what is said of it otherwise; facility and metro
// stand for each other.
func without(place map[string]any, said ...map[string]any) map[string]any {
	has := func(name string) bool {
		return slices.ContainsFunc(said, func(s map[string]any) bool { _, ok := s[name]; return ok })
	}
	rest := map[string]any{}
	for name, value := range place {
		located := (name == "facility" || name == "metro") && (has("facility") || has("metro"))
		if !located && !has(name) {
			rest[name] = value
		}
	}
	return rest
}

func candidate(m tfmodules.Module, settings map[string]any, name string) state.Candidate {
	return state.Candidate{Name: name, Provider: m.Name, Module: m.Folder(), Resource: m.Resource, Settings: settings}
}

// words are the settings by which candidates are called, in this order.
var words = []string{"facility", "metro", "location", "region", "zone", "plan", "server_type", "size", "type", "offer", "flavor"}

// nameOf calls a candidate by its place and plan: by what tells places apart, as
// the pool's settings have it, and by what they say themselves of packet's.
func nameOf(place, settings map[string]any, otherwise string) string {
	name, all := "", join(place, settings)
	for _, setting := range words {
		_, tells := place[setting]
		text, ok := all[setting].(string)
		if ok && (tells || setting == "facility" || setting == "metro" || setting == "plan") {
			name = joined(name, text)
		}
	}
	return cmp.Or(name, otherwise)
}

func joined(name, word string) string {
	if name == "" {
		return word
	}
	return name + "/" + word
}

// join puts settings together; what comes later counts.
func join(parts ...map[string]any) map[string]any {
	all := map[string]any{}
	for _, part := range parts {
		for name, value := range part {
			all[name] = value
		}
	}
	return all
}

// spec is a digest of all that a server is made of. Of a module that comes with
// hangar its name alone counts: a new hangar is no reason to replace machines.
func (b *builder) spec(p state.Pool, m tfmodules.Module, settings map[string]any) string {
	module := m.Folder()
	if b.shipped[m.Name] {
		module = m.Name
	}
	agent := ""
	if b.env.Agent != nil {
		agent = b.env.Agent(p)
	}
	text, err := json.Marshal([]any{module, settings, agent, p.Concurrency})
	if err != nil {
		panic(err) // settings are of types that JSON has
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
