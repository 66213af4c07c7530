package scale

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hangar/state"
)

// The kind and type of the stages that servers run: a server is a
// drone-runner-docker. Drone takes an empty kind or type for these as well.
const (
	kind = "pipeline"
	typ  = "docker"
)

// Matches says whether servers of the pool may run the stage, limits aside, as
// signal in Drone's scheduler/queue/queue.go does: kind, type, os and arch are
// equal, variant and kernel are compared only when the stage sets them, and the
// labels are equal in both directions.
func Matches(s state.Stage, p state.Pool) bool { return matches(&s, &p) }

func matches(s *state.Stage, p *state.Pool) bool {
	return runsOnDocker(s) && platformGap(s, p) == 0 && labelGap(s, p) == 0
}

func runsOnDocker(s *state.Stage) bool {
	return cmp.Or(s.Kind, kind) == kind && cmp.Or(s.Type, typ) == typ
}

// platformGap is how far the pool's platform is from what the stage asks for:
// 3 another system, 2 another variant, 1 another kernel, 0 it suits.
func platformGap(s *state.Stage, p *state.Pool) int {
	switch {
	case s.OS != p.Platform.OS || s.Arch != p.Platform.Arch:
		return 3
	case s.Variant != "" && s.Variant != p.Platform.Variant:
		return 2
	case s.Kernel != "" && s.Kernel != p.Platform.Kernel:
		return 1
	}
	return 0
}

// labelGap is how many labels only one of stage and pool has, or has otherwise.
func labelGap(s *state.Stage, p *state.Pool) int {
	gap := len(p.Labels)
	for k, v := range s.Labels {
		switch w, ok := p.Labels[k]; {
		case !ok:
			gap++
		case w == v:
			gap--
		}
	}
	return gap
}

// asksFor is what the stage asks for, in words.
func asksFor(s *state.Stage) string {
	parts := []string{
		cmp.Or(s.Kind, kind) + "/" + cmp.Or(s.Type, typ),
		s.OS + "/" + s.Arch,
	}
	if s.Variant != "" {
		parts = append(parts, "variant="+s.Variant)
	}
	if s.Kernel != "" {
		parts = append(parts, "kernel="+s.Kernel)
	}
	return strings.Join(append(parts, pairs(s.Labels)...), " ")
}

// lacks is why no pool may run the stage, in words: what the nearest pool
// lacks, or what none of them has.
func lacks(s *state.Stage, pools []state.Pool) string {
	if !runsOnDocker(s) {
		return fmt.Sprintf("every pool runs %s/%s stages only", kind, typ)
	}
	if len(pools) == 0 {
		return "there is no pool"
	}
	near := nearest(s, pools)
	switch platformGap(s, near) {
	case 3:
		return fmt.Sprintf("pool %s is %s/%s", near.Name, near.Platform.OS, near.Platform.Arch)
	case 2:
		return fmt.Sprintf("pool %s has %s", near.Name, orNo("variant", near.Platform.Variant))
	case 1:
		return fmt.Sprintf("pool %s has %s", near.Name, orNo("kernel", near.Platform.Kernel))
	}
	return lacksLabel(s, near, pools)
}

// nearest is the first of the pools that come closest to what the stage asks
// for: in their platform, and among those in their labels.
func nearest(s *state.Stage, pools []state.Pool) *state.Pool {
	var near *state.Pool
	var platform, labels int
	for i := range pools {
		p := &pools[i]
		gap := platformGap(s, p)
		if near != nil && gap > platform {
			continue
		}
		if more := labelGap(s, p); near == nil || gap < platform || more < labels {
			near, platform, labels = p, gap, more
		}
	}
	return near
}

func lacksLabel(s *state.Stage, near *state.Pool, pools []state.Pool) string {
	for _, k := range slices.Sorted(maps.Keys(s.Labels)) {
		v := s.Labels[k]
		switch {
		case !slices.ContainsFunc(pools, func(p state.Pool) bool { return has(p.Labels, k, v) }):
			return fmt.Sprintf("no pool has label %s=%s", k, v)
		case !has(near.Labels, k, v):
			return fmt.Sprintf("pool %s has no label %s=%s", near.Name, k, v)
		}
	}
	return fmt.Sprintf("pool %s runs only stages that ask for exactly %s", near.Name, strings.Join(pairs(near.Labels), " "))
}

func has(labels map[string]string, k, v string) bool {
	w, ok := labels[k]
	return ok && w == v
}

// orNo is "variant v7" or, for an empty value, "no variant".
func orNo(name, value string) string {
	if value == "" {
		return "no " + name
	}
	return name + " " + value
}

// pairs is the labels as k=v, in order.
func pairs(labels map[string]string) []string {
	out := make([]string, 0, len(labels))
	for k, v := range labels {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out
}
