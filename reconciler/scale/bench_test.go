package scale

import (
	"fmt"
	"testing"
	"time"

	"hangar/state"
)

// BenchmarkDecide is one decision over 10,000 stages, 1,000 servers and 20
// pools. The shapes are those of which a queue may make too much work: stages
// of many repositories, all of one, with labels, and with an ask of their own
// each.
func BenchmarkDecide(b *testing.B) {
	for _, bench := range []struct {
		name  string
		shape func(i int, s *state.Stage)
	}{
		{"many repositories", func(i int, s *state.Stage) { s.RepoID = int64(i % 500) }},
		{"one repository", func(i int, s *state.Stage) { s.RepoID, s.Limit, s.Throttle = 1, 9_000, 9_500 }},
		{"labels", func(i int, s *state.Stage) {
			s.Labels = map[string]string{"size": fmt.Sprint(i % 5), "team": fmt.Sprint(i % 3)}
		}},
		{"every stage another ask", func(i int, s *state.Stage) {
			s.Name, s.Labels = fmt.Sprint("stage ", i), map[string]string{"n": fmt.Sprint(i)}
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			o, pools := crowd(10_000, 1_000, 20, bench.shape)
			b.ReportAllocs()
			for b.Loop() {
				Decide(o, pools)
			}
		})
	}
}

// BenchmarkExplain is one explanation of the same.
func BenchmarkExplain(b *testing.B) {
	o, pools := crowd(10_000, 1_000, 20, func(i int, s *state.Stage) { s.RepoID = int64(i % 500) })
	b.ReportAllocs()
	for b.Loop() {
		Explain(o, pools, nil)
	}
}

// crowd is an observation of many stages and servers; a third of the servers
// is busy.
func crowd(stages, servers, pools int, shape func(int, *state.Stage)) (Observation, []state.Pool) {
	var (
		o   = Observation{At: now}
		all = make([]state.Pool, pools)
	)
	for i := range all {
		all[i] = pool(func(p *state.Pool) {
			p.Name = fmt.Sprint("pool", i)
			p.Max, p.Concurrency = 2*servers/pools, 2
			p.Platform.Arch = []string{"amd64", "arm64"}[i%2]
			if i%4 > 1 {
				p.Labels = map[string]string{"size": fmt.Sprint(i % 5), "team": fmt.Sprint(i % 3)}
			}
		})
	}
	for i := range servers {
		o.Servers = append(o.Servers, server(fmt.Sprintf("agent-%08d", i), state.Running, func(s *state.Server) {
			s.Pool = all[i%pools].Name
			s.Capacity = 2
			s.IdleSince = now.Add(-time.Duration(i) * time.Second)
		}))
	}
	for i := range stages {
		s := stage(int64(i + 1))
		s.Arch = []string{"amd64", "arm64"}[i%2]
		if i < servers/3 {
			s.Running, s.Machine = true, o.Servers[i].Name
		}
		shape(i, &s)
		o.Stages = append(o.Stages, s)
	}
	return o, all
}

// TestDecideLinear counts allocations rather than time: they do not depend on
// the machine.
func TestDecideLinear(t *testing.T) {
	shapes := map[string]func(int, *state.Stage){
		"one repository": func(i int, s *state.Stage) { s.RepoID, s.Limit, s.Throttle = 1, 3, 5 },
		"labels": func(i int, s *state.Stage) {
			s.RepoID, s.Labels = 1, map[string]string{"size": fmt.Sprint(i % 5)}
		},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			cost := func(stages int) float64 {
				o, pools := crowd(stages, 50, 20, shape)
				return testing.AllocsPerRun(3, func() { Decide(o, pools) })
			}
			few, many := cost(500), cost(5_000)
			if many > 2*few {
				t.Errorf("%v allocations for 500 stages, %v for 5,000", few, many)
			}
		})
	}
}
