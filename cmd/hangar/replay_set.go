package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hangar/reconciler/pools"
	"hangar/reconciler/replay"
	"hangar/state"
)

// priced gives a price to the candidates of a pool that have none.
func priced(price float64) func(*state.Pool) {
	return func(p *state.Pool) {
		p.Candidates = slices.Clone(p.Candidates)
		for i := range p.Candidates {
			if p.Candidates[i].Price == 0 {
				p.Candidates[i].Price = price
			}
		}
	}
}

// changed is the setup with other settings: name=value,pool.name=value.
func changed(base replay.Setup, text string) (replay.Setup, error) {
	base.Name = text
	source := base.Pools
	for _, one := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(one), "=")
		if !ok {
			return base, fmt.Errorf("want name=value, as in max=8")
		}
		if name == "interval" {
			d, err := time.ParseDuration(value)
			if err != nil || d <= 0 {
				return base, fmt.Errorf("interval=%s: want a duration such as 10s", value)
			}
			base.Interval = d
			continue
		}
		pool, setting, one := strings.Cut(name, ".")
		if !one {
			pool, setting = "", name
		}
		if one && base.Pools.At(time.Now()).Pool(pool).Name == "" {
			if pool != "pool" { // any
				return base, fmt.Errorf("there is no pool %s", pool)
			}
			pool = ""
		}
		change, err := poolSetting(setting, value)
		if err != nil {
			return base, err
		}
		source = replay.Changed{Pools: source, Change: func(p *state.Pool) {
			if pool == "" || p.Name == pool {
				change(p)
			}
		}}
	}
	base.Pools = source
	for _, p := range source.At(time.Now()).Pools {
		if p.Min > p.Max || p.Concurrency < 1 || p.Max < 1 {
			return base, fmt.Errorf("pool %s: a minimum of %d, a maximum of %d and a concurrency of %d do not go together", p.Name, p.Min, p.Max, p.Concurrency)
		}
	}
	return base, nil
}

// poolSetting is how one setting changes a pool.
func poolSetting(name, value string) (func(*state.Pool), error) {
	numbers := map[string]func(*state.Pool) *int{
		"min": func(p *state.Pool) *int { return &p.Min }, "max": func(p *state.Pool) *int { return &p.Max },
		"concurrency":   func(p *state.Pool) *int { return &p.Concurrency },
		"create_budget": func(p *state.Pool) *int { return &p.CreateBudget },
	}
	durations := map[string]func(*state.Pool) *time.Duration{
		"idle": func(p *state.Pool) *time.Duration { return &p.Idle }, "min_age": func(p *state.Pool) *time.Duration { return &p.MinAge },
		"billing": func(p *state.Pool) *time.Duration { return &p.BillingPeriod },
	}
	if of, ok := numbers[name]; ok {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%s=%s: want a number", name, value)
		}
		return func(p *state.Pool) {
			follows := name == "max" && p.CreateBudget == 3*p.Max // unless it was set
			if *of(p) = n; follows {
				p.CreateBudget = 3 * n
			}
		}, nil
	}
	if of, ok := durations[name]; ok {
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return nil, fmt.Errorf("%s=%s: want a duration such as 10m", name, value)
		}
		return func(p *state.Pool) { *of(p) = d }, nil
	}
	if name == "buffer" {
		stages, learn, err := pools.ParseBuffer(value)
		if err != nil {
			return nil, fmt.Errorf("buffer=%s: %w", value, err)
		}
		return func(p *state.Pool) { p.Buffer, p.LearnBuffer = stages, learn }, nil
	}
	return nil, fmt.Errorf("there is no setting %s here: want min, max, buffer, concurrency, idle, min_age, billing, create_budget or interval", name)
}
