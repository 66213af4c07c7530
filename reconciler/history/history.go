// Package history reads what is recorded of stacks' Terraform states, fit to be
// shown: secrets stay hidden.
package history

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hangar/state"
	"hangar/tfmodules"
)

// Store is what a History reads.
type Store interface {
	Stacks(ctx context.Context) ([]state.Stack, error)
	// Versions returns the stack's state versions without their bytes, newest
	// first; NotFound.
	Versions(ctx context.Context, stack string) ([]state.StateVersion, error)
	// StateBytes returns the bytes of a version that Versions returned.
	StateBytes(ctx context.Context, v state.StateVersion) ([]byte, error)
}

// History is the recorded states of all stacks. Its errors are NotFound, and
// say what there is, where a stack, or a state of it, is not recorded.
type History struct{ Store Store }

// Shown is a recorded state.
type Shown struct {
	Version state.StateVersion `json:"version"`
	tfmodules.State
}

// Diff is what changed between two recorded states.
type Diff struct {
	Old *state.StateVersion `json:"old"` // null: an empty one, for there is none before
	New state.StateVersion  `json:"new"`
	tfmodules.Difference
}

// Versions returns what is recorded of a stack, newest first; never nil without
// an error.
func (h History) Versions(ctx context.Context, stack string) ([]state.StateVersion, error) {
	versions, err := h.Store.Versions(ctx, stack)
	if versions == nil {
		versions = []state.StateVersion{}
	}
	if state.CodeOf(err) != state.NotFound {
		return versions, err
	}
	stacks, err := h.Store.Stacks(ctx)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, s := range slices.Backward(stacks) {
		known = append(known, s.Name)
	}
	return nil, state.Errorf(state.NotFound, "there is no stack %s; there are %s", stack, Some(known))
}

// recorded is Versions, of a stack of which there must be one.
func (h History) recorded(ctx context.Context, stack string) ([]state.StateVersion, error) {
	versions, err := h.Versions(ctx, stack)
	if err == nil && len(versions) == 0 {
		err = state.Errorf(state.NotFound, "no state of stack %s is recorded yet: no run of it has ended", stack)
	}
	return versions, err
}

// Show returns a stack's newest state of a serial; nil: the newest of all.
func (h History) Show(ctx context.Context, stack string, serial *int64) (Shown, error) {
	versions, err := h.recorded(ctx, stack)
	if err != nil {
		return Shown{}, err
	}
	i := 0
	if serial != nil {
		if i, err = pick(versions, *serial); err != nil {
			return Shown{}, err
		}
	}
	shown, err := h.Read(ctx, versions[i])
	return Shown{versions[i], shown}, err
}

// Diff compares two recorded states of a stack. Without to it is the newest,
// without from the one that was recorded before to; the first of a stack is
// compared with an empty one.
func (h History) Diff(ctx context.Context, stack string, from, to *int64) (Diff, error) {
	versions, err := h.recorded(ctx, stack)
	if err != nil {
		return Diff{}, err
	}
	i := 0
	if to != nil {
		if i, err = pick(versions, *to); err != nil {
			return Diff{}, err
		}
	}
	d := Diff{New: versions[i]}
	j := i + 1
	if from != nil {
		if j, err = pick(versions, *from); err != nil {
			return Diff{}, err
		}
	}
	var before tfmodules.State
	if j < len(versions) {
		d.Old = &versions[j]
		if before, err = h.Read(ctx, versions[j]); err != nil {
			return Diff{}, err
		}
	}
	after, err := h.Read(ctx, d.New)
	if err != nil {
		return Diff{}, err
	}
	d.Difference = tfmodules.Compare(before, after)
	return d, nil
}

// Read returns what a version that Versions returned says.
func (h History) Read(ctx context.Context, v state.StateVersion) (tfmodules.State, error) {
	stateJSON, err := h.Store.StateBytes(ctx, v)
	if err != nil {
		return tfmodules.State{}, err
	}
	shown, err := tfmodules.ReadState(stateJSON)
	if err != nil {
		return shown, fmt.Errorf("serial %d of stack %s: %w", v.Serial, v.Stack, err)
	}
	return shown, nil
}

// pick finds a serial among a stack's versions: the newest one of it, should a
// state that was lost have begun again.
func pick(versions []state.StateVersion, serial int64) (int, error) {
	var known []string
	for i, v := range versions {
		if v.Serial == serial {
			return i, nil
		}
		known = append(known, fmt.Sprint(v.Serial))
	}
	return 0, state.Errorf(state.NotFound, "no state of stack %s with serial %d is recorded; there are %s", versions[0].Stack, serial, Some(known))
}

// Some joins as many names as fit a line.
func Some(names []string) string {
	const most = 25
	switch n := len(names); {
	case n == 0:
		return "none"
	case n > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}
