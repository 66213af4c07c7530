package pools

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"hangar/state"
)

// Mistakes is every mistake in a pools file, a line each: file:line,column and
// what is wrong, in the order of the file.
type Mistakes []string

func (m Mistakes) Error() string { return strings.Join(m, "\n") }

// fileShape is what a pools file may hold.
type fileShape struct {
	Max   *int        `hcl:"max"`
	Pools []poolShape `hcl:"pool,block"`
}

type poolShape struct {
	Name         string            `hcl:"name,label"`
	Min          *int              `hcl:"min"`
	Max          *int              `hcl:"max"`
	Buffer       *string           `hcl:"buffer"`
	Concurrency  *int              `hcl:"concurrency"`
	Labels       map[string]string `hcl:"labels,optional"`
	Module       *string           `hcl:"module"`
	Settings     hcl.Expression    `hcl:"settings,optional"`
	Env          []string          `hcl:"env,optional"`
	Static       []string          `hcl:"static,optional"`
	Idle         *string           `hcl:"idle"`
	MinAge       *string           `hcl:"min_age"`
	Billing      *string           `hcl:"billing"`
	CreateBudget *int              `hcl:"create_budget"`
	Price        *float64          `hcl:"price"`
	Budget       *float64          `hcl:"budget"`

	Platform   *platformShape   `hcl:"platform,block"`
	Rollout    *rolloutShape    `hcl:"rollout,block"`
	Schedules  []scheduleShape  `hcl:"schedule,block"`
	Candidates []candidateShape `hcl:"candidate,block"`
}

type platformShape struct {
	OS      *string `hcl:"os"`
	Arch    *string `hcl:"arch"`
	Variant *string `hcl:"variant"`
	Kernel  *string `hcl:"kernel"`
}

type rolloutShape struct {
	MaxUnavailable *int `hcl:"max_unavailable"`
	MaxSurge       *int `hcl:"max_surge"`
}

type scheduleShape struct {
	Name     string  `hcl:"name,label"`
	Cron     string  `hcl:"cron"`
	Timezone string  `hcl:"timezone"`
	Min      *int    `hcl:"min"`
	Max      *int    `hcl:"max"`
	Buffer   *string `hcl:"buffer"`
}

// candidateShape has the settings of its module beside these.
type candidateShape struct {
	Module   *string  `hcl:"module"`
	Env      []string `hcl:"env,optional"`
	Price    *float64 `hcl:"price"`
	Settings hcl.Body `hcl:",remain"`
}

// Parse reads a pools file. All that is wrong with it is told at once, as
// Mistakes.
func Parse(text []byte, path string, e Environment) (*Set, error) {
	file, diags := hclsyntax.ParseConfig(text, path, hcl.InitialPos)
	r := &reader{builder: newBuilder(e, filepath.Dir(path)), diags: diags}
	if !diags.HasErrors() {
		var shape fileShape
		// What is wrong in one place does not keep the others from being looked at.
		r.diags = append(r.diags, gohcl.DecodeBody(file.Body, nil, &shape)...)
		r.file(file.Body.(*hclsyntax.Body), shape)
	}
	if r.diags.HasErrors() {
		return nil, mistakes(r.diags)
	}
	return &r.set, nil
}

func mistakes(diags hcl.Diagnostics) Mistakes {
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int { return where(a).Start.Byte - where(b).Start.Byte })
	var list Mistakes
	for _, d := range diags {
		at := where(d)
		text := d.Summary
		if d.Detail != "" {
			text = d.Detail
		}
		list = append(list, fmt.Sprintf("%s:%d,%d: %s", at.Filename, at.Start.Line, at.Start.Column, text))
	}
	return slices.Compact(list)
}

func where(d *hcl.Diagnostic) hcl.Range {
	if d.Subject != nil {
		return *d.Subject
	}
	return hcl.Range{}
}

// reader turns the file's shape into pools.
type reader struct {
	*builder
	diags hcl.Diagnostics
}

// wrong notes mistakes at a place.
func (r *reader) wrong(at hcl.Range, err error) {
	if err == nil {
		return
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range several.Unwrap() {
			r.wrong(at, err)
		}
		return
	}
	r.diags = append(r.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: err.Error(), Subject: &at})
}

// at is where an attribute is, or else its block.
func at(block *hclsyntax.Block, attribute string) hcl.Range {
	if a, ok := block.Body.Attributes[attribute]; ok {
		return a.Range()
	}
	return block.DefRange()
}

func (r *reader) file(body *hclsyntax.Body, shape fileShape) {
	if shape.Max != nil {
		if r.set.max = *shape.Max; r.set.max < 1 {
			r.wrong(body.Attributes["max"].Range(), errors.New("max: want 1 or more servers in all pools"))
		}
	}
	blocks := body.Blocks
	if len(shape.Pools) == 0 && !r.diags.HasErrors() {
		r.wrong(body.Range(), errors.New(`there is no pool: want at least one block pool "name" { ... }`))
	}
	if len(blocks) != len(shape.Pools) {
		return // a block of another kind, which was told
	}
	names, static := map[string]bool{}, map[string]string{}
	for i, s := range shape.Pools {
		block := blocks[i]
		switch {
		case !isName(s.Name):
			r.wrong(block.DefRange(), fmt.Errorf("pool %q: want lower case letters, digits and hyphens, since stacks are named after it", s.Name))
		case names[s.Name]:
			r.wrong(block.DefRange(), fmt.Errorf("pool %q is there twice", s.Name))
		}
		names[s.Name] = true
		for _, machine := range s.Static {
			if other, taken := static[machine]; taken && other != s.Name {
				r.wrong(at(block, "static"), fmt.Errorf("static: %s is counted in pool %s already", machine, other))
			}
			static[machine] = s.Name
		}
		r.set.pools = append(r.set.pools, r.pool(block, s))
	}
	least := 0
	for _, p := range r.set.pools {
		most := p.Min
		for _, s := range p.schedules {
			most = max(most, s.apply(p.Pool).Min)
		}
		least += most
	}
	if r.set.max > 0 && least > r.set.max {
		r.wrong(body.Attributes["max"].Range(), fmt.Errorf("max = %d is below the sum of the pools' minimums, %d", r.set.max, least))
	}
}

func isName(s string) bool {
	return s != "" && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && !strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-")
}

func (r *reader) pool(block *hclsyntax.Block, s poolShape) pool {
	p := pool{Pool: r.env.Pool}
	p.Name, p.Candidates = s.Name, nil
	set(&p.Min, s.Min)
	set(&p.Max, s.Max)
	r.wrong(at(block, "buffer"), setBuffer(&p.Pool, s.Buffer))
	r.wrong(at(block, sizes(s)), check(p.Pool))
	set(&p.Concurrency, s.Concurrency)
	if p.Concurrency < 1 {
		r.wrong(at(block, "concurrency"), errors.New("concurrency: want 1 or more stages"))
	}
	for _, d := range []struct {
		name string
		from *string
		to   *time.Duration
	}{{"idle", s.Idle, &p.Idle}, {"min_age", s.MinAge, &p.MinAge}, {"billing", s.Billing, &p.BillingPeriod}} {
		if d.from == nil {
			continue
		}
		var err error
		if *d.to, err = time.ParseDuration(*d.from); err != nil || *d.to < 0 {
			r.wrong(at(block, d.name), fmt.Errorf("%s = %q: want a duration such as 10m or 1h30m", d.name, *d.from))
		}
	}
	if s.Platform != nil {
		p.Platform = state.Platform{OS: "linux", Arch: "amd64"}
		set(&p.Platform.OS, s.Platform.OS)
		set(&p.Platform.Arch, s.Platform.Arch)
		set(&p.Platform.Variant, s.Platform.Variant)
		set(&p.Platform.Kernel, s.Platform.Kernel)
	}
	if s.Labels != nil {
		p.Labels = s.Labels
	}
	p.Static = s.Static
	if slices.Contains(s.Static, "") {
		r.wrong(at(block, "static"), errors.New("static: want the Drone names of runners"))
	}
	if len(slices.Compact(slices.Sorted(slices.Values(s.Static)))) < len(s.Static) {
		r.wrong(at(block, "static"), errors.New("static: names one twice"))
	}
	r.rollout(block, s, &p)
	r.money(block, s, &p)
	r.schedules(block, s, &p)
	r.candidates(block, s, &p)
	if s.Idle == nil && s.MinAge == nil && s.Billing == nil {
		r.env.paid(&p.Pool)
	}
	return p
}

// sizes is the attribute that a wrong size is told of.
func sizes(s poolShape) string {
	switch {
	case s.Min != nil:
		return "min"
	}
	return "max"
}

// set takes over what is told.
func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func (r *reader) rollout(block *hclsyntax.Block, s poolShape, p *pool) {
	if s.Rollout == nil {
		return
	}
	p.MaxSurge = 0
	set(&p.MaxSurge, s.Rollout.MaxSurge)
	if p.MaxSurge > 0 {
		p.MaxUnavailable = 0
	}
	set(&p.MaxUnavailable, s.Rollout.MaxUnavailable)
	if p.MaxUnavailable == 0 && p.MaxSurge > 0 && p.Min >= p.Max {
		r.wrong(nested(block, "rollout")[0].DefRange(), fmt.Errorf("rollout: nothing can be made ahead with min = max = %d; want max_unavailable to be 1 or more", p.Max))
	}
	if p.MaxUnavailable < 0 || p.MaxSurge < 0 || p.MaxUnavailable+p.MaxSurge == 0 {
		r.wrong(nested(block, "rollout")[0].DefRange(), errors.New("rollout: want max_unavailable or max_surge to be 1 or more, or nothing could be replaced"))
	}
}

func (r *reader) money(block *hclsyntax.Block, s poolShape, p *pool) {
	set(&p.CreateBudget, s.CreateBudget)
	if s.CreateBudget != nil && p.CreateBudget < 1 {
		r.wrong(at(block, "create_budget"), errors.New("create_budget: want 1 or more creates an hour that serve nothing"))
	}
	set(&p.Budget, s.Budget)
	if p.Budget < 0 {
		r.wrong(at(block, "budget"), errors.New("budget: want what a day may cost, or 0 for no bound"))
	}
	if s.Price != nil && *s.Price < 0 {
		r.wrong(at(block, "price"), errors.New("price: want what a server costs an hour"))
	}
}

func nested(block *hclsyntax.Block, kind string) (found []*hclsyntax.Block) {
	for _, b := range block.Body.Blocks {
		if b.Type == kind {
			found = append(found, b)
		}
	}
	return found
}

func (r *reader) schedules(block *hclsyntax.Block, s poolShape, p *pool) {
	blocks := nested(block, "schedule")
	if len(blocks) != len(s.Schedules) {
		return
	}
	names := map[string]bool{}
	for i, shape := range s.Schedules {
		if names[shape.Name] {
			r.wrong(blocks[i].DefRange(), fmt.Errorf("schedule %q is there twice", shape.Name))
		}
		names[shape.Name] = true
		_, cron := blocks[i].Body.Attributes["cron"]
		_, zone := blocks[i].Body.Attributes["timezone"]
		if !cron || !zone {
			continue // which was told
		}
		one, wrong := newSchedule(shape.Name, shape.Cron, shape.Timezone)
		for attribute, err := range wrong {
			r.wrong(at(blocks[i], attribute), err)
		}
		if len(wrong) > 0 {
			continue
		}
		one.min, one.max, one.buffer = shape.Min, shape.Max, shape.Buffer
		if err := setBuffer(&state.Pool{}, shape.Buffer); err != nil {
			r.wrong(at(blocks[i], "buffer"), fmt.Errorf("schedule %q: %w", shape.Name, err))
			continue
		}
		if err := check(one.apply(p.Pool)); err != nil && check(p.Pool) == nil {
			r.wrong(at(blocks[i], "min"), fmt.Errorf("schedule %q: %w", shape.Name, err))
		}
		p.schedules = append(p.schedules, one)
	}
}
