package scale

import (
	"slices"
	"testing"

	"hangar/state"
)

func TestMatches(t *testing.T) {
	arm := func(p *state.Pool) {
		p.Platform = state.Platform{OS: "linux", Arch: "arm64", Variant: "v8", Kernel: "5.4"}
	}
	large := func(p *state.Pool) { p.Labels = map[string]string{"size": "large"} }
	armStage := func(s *state.Stage) { s.Arch = "arm64" }

	for _, tt := range []struct {
		name  string
		stage state.Stage
		pool  state.Pool
		want  bool
	}{
		{"platform alone", stage(1), pool(), true},
		{"kind and type spelled out", stage(1, func(s *state.Stage) { s.Kind, s.Type = "pipeline", "docker" }), pool(), true},
		{"another kind", stage(1, func(s *state.Stage) { s.Kind = "secret" }), pool(), false},
		{"another type", stage(1, func(s *state.Stage) { s.Type = "exec" }), pool(), false},
		{"another os", stage(1, func(s *state.Stage) { s.OS = "windows" }), pool(), false},
		{"another arch", stage(1, armStage), pool(), false},
		{"no arch", stage(1, func(s *state.Stage) { s.Arch = "" }), pool(), false},
		{"the pool's variant and kernel are not asked for", stage(1, armStage), pool(arm), true},
		{"variant", stage(1, armStage, func(s *state.Stage) { s.Variant = "v8" }), pool(arm), true},
		{"another variant", stage(1, armStage, func(s *state.Stage) { s.Variant = "v7" }), pool(arm), false},
		{"a variant that the pool does not have", stage(1, func(s *state.Stage) { s.Variant = "v8" }), pool(), false},
		{"kernel", stage(1, armStage, func(s *state.Stage) { s.Kernel = "5.4" }), pool(arm), true},
		{"another kernel", stage(1, armStage, func(s *state.Stage) { s.Kernel = "1803" }), pool(arm), false},
		{"labels", stage(1, func(s *state.Stage) { s.Labels = map[string]string{"size": "large"} }), pool(large), true},
		{"no labels, written otherwise", stage(1, func(s *state.Stage) { s.Labels = map[string]string{} }), pool(), true},
		{"another value", stage(1, func(s *state.Stage) { s.Labels = map[string]string{"size": "small"} }), pool(large), false},
		{"an empty value is none", stage(1, func(s *state.Stage) { s.Labels = map[string]string{"gpu": ""} }), pool(large), false},
		{"a label that the pool does not have", stage(1, func(s *state.Stage) { s.Labels = map[string]string{"size": "large"} }), pool(), false},
		{"a label that the stage does not ask for", stage(1), pool(large), false},
		{"one label more", stage(1, func(s *state.Stage) {
			s.Labels = map[string]string{"size": "large", "gpu": "yes"}
		}), pool(large), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Matches(tt.stage, tt.pool); got != tt.want {
				t.Errorf("Matches = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestUnmatched(t *testing.T) {
	var (
		plain = pool()
		large = pool(func(p *state.Pool) { p.Name, p.Labels = "large", map[string]string{"size": "large", "disk": "ssd"} })
		arm   = pool(func(p *state.Pool) { p.Name, p.Platform.Arch, p.Platform.Variant = "arm", "arm64", "v8" })
	)
	for _, tt := range []struct {
		name  string
		stage state.Stage
		pools []state.Pool
		asks  string
		why   string
	}{
		{"arch", stage(1, func(s *state.Stage) { s.Arch = "arm64" }), []state.Pool{plain, large},
			"pipeline/docker linux/arm64", "pool default is linux/amd64"},
		{"variant", stage(1, func(s *state.Stage) { s.Arch, s.Variant = "arm64", "v7" }), []state.Pool{plain, arm},
			"pipeline/docker linux/arm64 variant=v7", "pool arm has variant v8"},
		{"kernel", stage(1, func(s *state.Stage) { s.Kernel = "1803" }), []state.Pool{plain},
			"pipeline/docker linux/amd64 kernel=1803", "pool default has no kernel"},
		{"label that no pool has", stage(1, func(s *state.Stage) { s.Labels = map[string]string{"size": "huge"} }), []state.Pool{plain, large},
			"pipeline/docker linux/amd64 size=huge", "no pool has label size=huge"},
		{"label of another platform's pool", stage(1, func(s *state.Stage) {
			s.Arch, s.Labels = "arm64", map[string]string{"size": "large", "disk": "ssd"}
		}), []state.Pool{large, arm},
			"pipeline/docker linux/arm64 disk=ssd size=large", "pool arm has no label disk=ssd"},
		{"the pool wants more labels", stage(1, func(s *state.Stage) { s.Labels = map[string]string{"size": "large"} }), []state.Pool{plain, large},
			"pipeline/docker linux/amd64 size=large", "pool default has no label size=large"},
		{"the only pool wants labels", stage(1), []state.Pool{large},
			"pipeline/docker linux/amd64", "pool large runs only stages that ask for exactly disk=ssd size=large"},
		{"another runner", stage(1, func(s *state.Stage) { s.Type = "exec" }), []state.Pool{plain},
			"pipeline/exec linux/amd64", "every pool runs pipeline/docker stages only"},
		{"no pools", stage(1), nil,
			"pipeline/docker linux/amd64", "there is no pool"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Decide(Observation{At: now, Stages: []state.Stage{tt.stage}}, tt.pools)
			if len(d.Unmatched) != 1 {
				t.Fatalf("unmatched = %+v, want one", d.Unmatched)
			}
			if u := d.Unmatched[0]; u.Asks != tt.asks || u.Reason != tt.why {
				t.Errorf("got  %s: %s\nwant %s: %s", u.Asks, u.Reason, tt.asks, tt.why)
			}
		})
	}
}

func TestUnmatchedGroups(t *testing.T) {
	arm := func(s *state.Stage) { s.Arch = "arm64" }
	// A label whose text looks like more labels must not be taken for them.
	sly := func(s *state.Stage) { s.Labels = map[string]string{"a": "1\x00b\x002"} }
	two := func(s *state.Stage) { s.Labels = map[string]string{"a": "1", "b": "2"} }
	many := func(s *state.Stage) {
		s.Labels = map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "6"}
	}
	held := func(s *state.Stage) { s.Arch, s.RepoID, s.Throttle = "s390x", 1, 1 }

	d := Decide(Observation{At: now, Stages: []state.Stage{
		stage(9, arm), stage(3), stage(4, sly), stage(5, arm, func(s *state.Stage) { s.Kind, s.Type = "pipeline", "docker" }),
		stage(6, two), stage(7, arm, on("elsewhere")), stage(8, arm, func(s *state.Stage) { s.Machine = "elsewhere" }),
		stage(1, func(s *state.Stage) { s.RepoID = 1 }), stage(10, held),
		stage(11, many), stage(12, many), stage(13, many), stage(14, many),
	}}, []state.Pool{pool()})

	want := [][]int64{{4}, {5, 9}, {6}, {11, 12, 13, 14}}
	if len(d.Unmatched) != len(want) {
		t.Fatalf("unmatched = %+v, want stages %v", d.Unmatched, want)
	}
	for i, u := range d.Unmatched {
		if !slices.Equal(u.Stages, want[i]) {
			t.Errorf("group %d is %v, want %v", i, u.Stages, want[i])
		}
	}
	if p := d.Pools[0]; p.Waiting != 2 || p.HeldBack != 0 {
		t.Errorf("pool has %d waiting, %d held back, want 2 and 0", p.Waiting, p.HeldBack)
	}
}
