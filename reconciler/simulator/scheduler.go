package simulator

import "maps"

// The rules of this file are those of Drone's own scheduler
// (scheduler/queue/queue.go of the server, 2.25).

// matches says whether a runner may run a stage. The docker runner asks for
// pipeline/docker only.
func matches(r *runner, s *stage) bool {
	return s.Kind == "pipeline" && s.Type == "docker" &&
		s.OS == r.platform.OS && s.Arch == r.platform.Arch &&
		(s.Variant == "" || s.Variant == r.platform.Variant) &&
		(s.Kernel == "" || s.Kernel == r.platform.Kernel) &&
		maps.Equal(s.Labels, r.labels)
}

// holds knows which stages their limits and throttles hold back. It walks
// along the queue, so that a long one is counted once and not for each stage.
type holds struct {
	running map[job]int   // of the stages ahead, those that run
	passed  map[job]int   // stages that are older
	repos   map[int64]int // the same, by repository
}

// job is what a limit counts by.
type job struct {
	repo int64
	name string
}

// newHolds stands before a queue in which these stages are accepted.
func newHolds(taken []*stage) *holds {
	h := &holds{running: map[job]int{}, passed: map[job]int{}, repos: map[int64]int{}}
	for _, s := range taken {
		if s.Running {
			h.running[job{s.RepoID, s.Name}]++
		}
	}
	return h
}

// back passes the next stage of the queue and says whether it is held back: a
// limit counts the stages of the same repository and name that are older or
// running, a throttle the older ones of the same repository, and not the newer
// ones that run.
func (h *holds) back(s *stage) bool {
	j := job{s.RepoID, s.Name}
	if s.Running {
		h.running[j]--
	}
	held := s.Limit > 0 && h.passed[j]+h.running[j] >= s.Limit ||
		s.Throttle > 0 && h.repos[s.RepoID] >= s.Throttle
	h.passed[j]++
	h.repos[s.RepoID]++
	return held
}
