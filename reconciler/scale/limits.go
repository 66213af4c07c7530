package scale

import (
	"cmp"
	"slices"

	"hangar/state"
)

// HeldBack says for each stage whether Drone's scheduler holds it back, because
// its limit (stages of the same repository and name that are older or running)
// or its throttle (older stages of the same repository) is reached. Only a
// pending stage without a machine can be held back.
//
// This is withinLimits and shouldThrottle of Drone's scheduler/queue/queue.go,
// which compare each stage with all others, in one walk from the oldest stage
// to the newest.
func HeldBack(stages []state.Stage) []bool {
	held := make([]bool, len(stages))
	for i, b := range bounds(stages) {
		held[i] = b > 0
	}
	return held
}

// bound is what holds a stage back.
type bound uint8

const (
	limited   bound = 1 << iota // its limit
	throttled                   // its throttle
)

func bounds(stages []state.Stage) []bound {
	held := make([]bound, len(stages))
	if !slices.ContainsFunc(stages, bounded) {
		return held
	}
	pipelines := make(map[pipeline]*tally)
	for i := range stages {
		key := pipelineOf(&stages[i])
		if pipelines[key] == nil {
			pipelines[key] = new(tally)
		}
		if stages[i].Running {
			pipelines[key].running++
		}
	}
	repos := make(map[int64]int) // stages before the one at hand
	for _, i := range byAge(stages) {
		s := &stages[i]
		p, older := pipelines[pipelineOf(s)], repos[s.RepoID]
		if waits(s) {
			if s.Limit != 0 && p.older+p.running >= s.Limit {
				held[i] |= limited
			}
			if s.Throttle != 0 && older >= s.Throttle {
				held[i] |= throttled
			}
		}
		if s.Running {
			p.running--
		}
		p.older++
		repos[s.RepoID]++
	}
	return held
}

// pipeline is what a limit counts: stages of one repository and name.
type pipeline struct {
	repo int64
	name string
}

func pipelineOf(s *state.Stage) pipeline { return pipeline{s.RepoID, s.Name} }

// tally is how many stages of a pipeline there are, seen from one of them.
type tally struct {
	older   int // before the one at hand
	running int // from the one at hand on
}

func bounded(s state.Stage) bool { return s.Limit != 0 || s.Throttle != 0 }

// waits says whether no runner has accepted the stage. A stage with a machine
// is assigned, also while its status is still pending.
func waits(s *state.Stage) bool { return !s.Running && s.Machine == "" }

// byAge returns the places of the stages, the oldest stage first, which is the
// order in which Drone hands them out.
func byAge(stages []state.Stage) []int {
	order := make([]int, len(stages))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(stages[a].ID, stages[b].ID) })
	return order
}
