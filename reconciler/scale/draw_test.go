package scale

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"hangar/state"
)

var (
	arches    = []string{"amd64", "arm64"}
	labelSets = []map[string]string{nil, {}, {"size": "large"}, {"size": "small"}}
	phases    = []state.Phase{
		state.Pending, state.Creating, state.Created, state.Staging, state.Running, state.Running, state.Running,
		state.Shutdown, state.Shutdown, state.Stopping, state.Stopped, state.Failed,
	}
	spans = []time.Duration{0, time.Second, 10 * time.Minute, 56 * time.Minute, time.Hour, 100 * time.Minute}
)

// draw makes an observation of anything that a store and a queue can show.
func draw(t *rapid.T) (Observation, []state.Pool) {
	pools := make([]state.Pool, rapid.IntRange(1, 3).Draw(t, "pools"))
	for i := range pools {
		pools[i] = drawPool(t, fmt.Sprint("pool", i))
	}
	o := Observation{At: now, Paused: rapid.IntRange(0, 5).Draw(t, "paused") == 0, Spent: map[string]state.Spent{}}
	o.Max = max(0, rapid.IntRange(-5, 12).Draw(t, "max of all"))
	names := []string{"elsewhere"}
	for i := range pools {
		if rapid.IntRange(0, 3).Draw(t, "static") == 0 {
			machine := fmt.Sprint("static-", i)
			pools[i].Static = []string{machine}
			names = append(names, machine)
		}
		if pools[i].Budget > 0 {
			o.Spent[pools[i].Name] = state.Spent{Cost: rapid.Float64Range(0, 5).Draw(t, "cost")}
		}
	}
	for i := range rapid.IntRange(0, 12).Draw(t, "servers") {
		s := drawServer(t, fmt.Sprint("agent-", i), len(pools))
		o.Servers = append(o.Servers, s)
		names = append(names, s.Name)
	}
	o.Stages = drawStages(t, names, rapid.IntRange(0, 25).Draw(t, "stages"))
	for _, p := range pools {
		if rapid.IntRange(0, 2).Draw(t, "discarded") == 0 {
			o.Discards = append(o.Discards, drawDiscard(t, o, p, ""))
		}
	}
	for _, s := range o.Servers {
		if rapid.IntRange(0, 3).Draw(t, "spared") == 0 {
			at := slices.IndexFunc(pools, func(p state.Pool) bool { return p.Name == s.Pool })
			p := state.Pool{Name: s.Pool}
			if at >= 0 {
				p = pools[at]
			}
			o.Discards = append(o.Discards, drawDiscard(t, o, p, s.Name))
		}
	}
	for _, p := range pools {
		for _, c := range p.Candidates {
			if rapid.IntRange(0, 2).Draw(t, "failed") == 0 {
				until := now.Add(rapid.SampledFrom([]time.Duration{-time.Minute, 0, time.Minute}).Draw(t, "until"))
				o.Backoffs = append(o.Backoffs, state.Backoff{Pool: p.Name, Candidate: c.Name, Failures: 1, Until: until, Error: "no capacity"})
			}
		}
	}
	return o, pools
}

// drawDiscard makes a discard that mostly still counts.
func drawDiscard(t *rapid.T, o Observation, p state.Pool, server string) state.Discard {
	d := state.Discard{Pool: p.Name, Server: server, By: "octocat", At: now}
	if len(p.Candidates) > 0 {
		d.Demand = Demand(o.Stages, p)
	}
	d.Demand.Stages += max(0, rapid.IntRange(-3, 1).Draw(t, "more stages"))
	return d
}

func drawPool(t *rapid.T, name string) state.Pool {
	least := rapid.IntRange(0, 3).Draw(t, "min")
	return pool(func(p *state.Pool) {
		p.Name = name
		p.Min, p.Max = least, least+rapid.IntRange(0, 5).Draw(t, "above min")
		p.Buffer = rapid.IntRange(0, 3).Draw(t, "buffer")
		p.Concurrency = rapid.IntRange(1, 4).Draw(t, "concurrency")
		p.Platform.Arch = rapid.SampledFrom(arches).Draw(t, "arch")
		p.Labels = rapid.SampledFrom(labelSets).Draw(t, "labels")
		p.Idle = rapid.SampledFrom(spans).Draw(t, "idle")
		p.MinAge = rapid.SampledFrom(spans).Draw(t, "min age")
		p.Budget = max(0, rapid.Float64Range(-5, 5).Draw(t, "budget"))
		p.MaxUnavailable = rapid.IntRange(0, 2).Draw(t, "max unavailable")
		p.MaxSurge = rapid.IntRange(0, 2).Draw(t, "max surge")
		p.Candidates = []state.Candidate{{Name: "ewr1", Price: 0.7, Spec: "new"}, {Name: "sjc1", Price: 0.9, Spec: "newer"}}
		p.BillingPeriod = rapid.SampledFrom(spans).Draw(t, "billing period")
	})
}

func drawServer(t *rapid.T, name string, pools int) state.Server {
	past := func(what string) time.Time {
		return ago(rapid.SampledFrom(spans).Draw(t, what))
	}
	s := state.Server{
		Name:      name,
		Pool:      fmt.Sprint("pool", rapid.IntRange(0, pools).Draw(t, "pool")), // the last is not configured
		Phase:     rapid.SampledFrom(phases).Draw(t, "phase"),
		Capacity:  rapid.IntRange(1, 4).Draw(t, "capacity"),
		Condemned: rapid.IntRange(0, 7).Draw(t, "condemned") == 0,
		Forced:    rapid.IntRange(0, 11).Draw(t, "forced") == 0,
		Created:   past("created"),
	}
	if (s.Phase == state.Stopping || s.Phase == state.Pending) && rapid.Bool().Draw(t, "waits") {
		s.Waits = 7
	}
	s.Price = rapid.SampledFrom([]float64{0, 0.7, 0.9}).Draw(t, "price")
	s.Spec = rapid.SampledFrom([]string{"", "new", "old"}).Draw(t, "spec")
	if rapid.Bool().Draw(t, "marked") {
		s.Started, s.Served, s.IdleSince, s.QuietSince = past("started"), past("served"), past("idle since"), past("quiet since")
	}
	return s
}

// drawStages makes a queue with unique ids in any order. Stages are accepted by
// any of the machines, or by none.
func drawStages(t *rapid.T, machines []string, n int) []state.Stage {
	stages := make([]state.Stage, 0, n)
	for i := range n {
		s := state.Stage{
			ID:       int64(i + 1),
			RepoID:   rapid.Int64Range(1, 3).Draw(t, "repo"),
			Name:     rapid.SampledFrom([]string{"default", "test"}).Draw(t, "name"),
			Type:     rapid.SampledFrom([]string{"", "", "docker", "exec"}).Draw(t, "type"),
			OS:       "linux",
			Arch:     rapid.SampledFrom(arches).Draw(t, "arch"),
			Labels:   rapid.SampledFrom(labelSets).Draw(t, "labels"),
			Created:  now.Add(-rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(t, "age")),
			Limit:    max(0, rapid.IntRange(-9, 3).Draw(t, "limit")),
			Throttle: max(0, rapid.IntRange(-9, 3).Draw(t, "throttle")),
		}
		if rapid.IntRange(0, 2).Draw(t, "accepted") == 0 {
			s.Machine = rapid.SampledFrom(machines).Draw(t, "machine")
			s.Running = rapid.Bool().Draw(t, "running")
		}
		stages = append(stages, s)
	}
	if n < 2 {
		return stages
	}
	return rapid.Permutation(stages).Draw(t, "order")
}
