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

// withinLimit says whether a stage's limit lets it start: it counts the
// stages of the same repository and name that are older or running.
func withinLimit(s *stage, all []*stage) bool {
	if s.Limit == 0 {
		return true
	}
	n := 0
	for _, o := range all {
		if o != s && o.RepoID == s.RepoID && o.Name == s.Name && (o.ID < s.ID || o.Running) {
			n++
		}
	}
	return n < s.Limit
}

// throttled says whether a stage's throttle holds it back: it counts the
// older stages of the same repository, and not the newer ones that run.
func throttled(s *stage, all []*stage) bool {
	if s.Throttle == 0 {
		return false
	}
	n := 0
	for _, o := range all {
		if o.RepoID == s.RepoID && o.ID < s.ID {
			n++
		}
	}
	return n >= s.Throttle
}
