package scale

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hangar/state"
)

func TestHeldBack(t *testing.T) {
	of := func(id, repo int64, name string, limit, throttle int) state.Stage {
		return state.Stage{ID: id, RepoID: repo, Name: name, Limit: limit, Throttle: throttle}
	}
	running := func(s state.Stage) state.Stage { s.Running, s.Machine = true, "agent"; return s }
	accepted := func(s state.Stage) state.Stage { s.Machine = "agent"; return s }

	for _, tt := range []struct {
		name   string
		stages []state.Stage
		want   []bool
	}{
		{"no bounds", []state.Stage{of(1, 1, "a", 0, 0), of(2, 1, "a", 0, 0)}, []bool{false, false}},
		{"limit lets the oldest go", []state.Stage{of(1, 1, "a", 1, 0), of(2, 1, "a", 1, 0)}, []bool{false, true}},
		{"limit of two", []state.Stage{of(1, 1, "a", 2, 0), of(2, 1, "a", 2, 0), of(3, 1, "a", 2, 0)}, []bool{false, false, true}},
		{"limit counts a running newer stage", []state.Stage{of(1, 1, "a", 1, 0), running(of(2, 1, "a", 1, 0))}, []bool{true, false}},
		{"limit does not count an accepted newer stage", []state.Stage{of(1, 1, "a", 1, 0), accepted(of(2, 1, "a", 1, 0))}, []bool{false, false}},
		{"limit counts an accepted older stage", []state.Stage{accepted(of(1, 1, "a", 1, 0)), of(2, 1, "a", 1, 0)}, []bool{false, true}},
		{"limit is of the name", []state.Stage{running(of(1, 1, "b", 0, 0)), of(2, 1, "a", 1, 0)}, []bool{false, false}},
		{"limit is of the repository", []state.Stage{running(of(1, 2, "a", 0, 0)), of(2, 1, "a", 1, 0)}, []bool{false, false}},
		{"throttle counts every name", []state.Stage{of(1, 1, "b", 0, 0), of(2, 1, "a", 0, 1)}, []bool{false, true}},
		{"throttle does not count newer ones", []state.Stage{of(1, 1, "a", 0, 1), running(of(2, 1, "b", 0, 1))}, []bool{false, false}},
		{"throttle is of the repository", []state.Stage{of(1, 2, "b", 0, 0), of(2, 1, "a", 0, 1)}, []bool{false, false}},
		{"a running stage is not held", []state.Stage{of(1, 1, "a", 0, 0), running(of(2, 1, "a", 1, 1))}, []bool{false, false}},
		{"an accepted stage is not held", []state.Stage{of(1, 1, "a", 0, 0), accepted(of(2, 1, "a", 1, 1))}, []bool{false, false}},
		{"not in order", []state.Stage{of(2, 1, "a", 1, 0), of(1, 1, "a", 1, 0)}, []bool{true, false}},
		{"empty queue", nil, []bool{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := HeldBack(tt.stages); !slices.Equal(got, tt.want) {
				t.Errorf("HeldBack = %v, want %v", got, tt.want)
			}
		})
	}
}

// droneHolds is what Drone's scheduler/queue/queue.go does, word for word, each
// stage against all.
func droneHolds(stage state.Stage, siblings []state.Stage) bool {
	withinLimits := func() bool {
		if stage.Limit == 0 {
			return true
		}
		count := 0
		for _, sibling := range siblings {
			if sibling.RepoID != stage.RepoID || sibling.ID == stage.ID || sibling.Name != stage.Name {
				continue
			}
			if sibling.ID < stage.ID || sibling.Running {
				count++
			}
		}
		return count < stage.Limit
	}
	shouldThrottle := func() bool {
		if stage.Throttle == 0 || stage.Running {
			return false
		}
		count := 0
		for _, sibling := range siblings {
			if sibling.RepoID != stage.RepoID || sibling.ID >= stage.ID {
				continue
			}
			count++
		}
		return count >= stage.Throttle
	}
	return !withinLimits() || shouldThrottle()
}

func TestHeldBackAsDrone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stages := drawStages(t, []string{"agent-1", "agent-2"}, rapid.IntRange(0, 40).Draw(t, "stages"))
		got := HeldBack(stages)
		for i, s := range stages {
			want := !s.Running && s.Machine == "" && droneHolds(s, stages)
			if got[i] != want {
				t.Fatalf("stage %d is held back: %v, by Drone: %v\n%+v", s.ID, got[i], want, stages)
			}
		}
	})
}
