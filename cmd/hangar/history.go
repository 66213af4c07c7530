package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hangar/state"
	"hangar/state/sqlite"
	"hangar/tfmodules"
)

// history is the records, opened to read the states in them.
type history struct{ *sqlite.Store }

// openHistory opens the records by the few settings that say where they are.
// Records that cannot be opened are a mistake in those.
func openHistory(p *program) (history, error) {
	cfg, err := parseSettings(p.environ, func(name string) bool {
		return name == "DRONE_DATA" || strings.HasPrefix(name, "DRONE_DATABASE_")
	})
	if err != nil {
		return history{}, err
	}
	store, err := sqlite.OpenReadOnly(p.ctx, cfg.databasePath())
	if state.CodeOf(err) == state.NotFound {
		return history{}, ConfigError{err.Error() + " DRONE_DATA names its data folder, DRONE_DATABASE_DATASOURCE the file"}
	}
	if state.CodeOf(err) != "" {
		return history{}, ConfigError{err.Error()}
	}
	return history{store}, err
}

// listedStack is what state list tells of a stack.
type listedStack struct {
	Name      string    `json:"name"`
	Pool      string    `json:"pool"`
	Candidate string    `json:"candidate"`
	Serial    *int64    `json:"serial"` // of the newest version; null: none is recorded
	Versions  int       `json:"versions"`
	Devices   int       `json:"devices"` // that the newest state showed
	Since     time.Time `json:"since"`
}

func (h history) list(ctx context.Context) ([]listedStack, error) {
	stacks, err := h.Stacks(ctx)
	if err != nil {
		return nil, err
	}
	listed := []listedStack{}
	for _, s := range stacks {
		versions, err := h.Versions(ctx, s.Name)
		if err != nil {
			return nil, err
		}
		devices, err := h.Outputs(ctx, s.Name)
		if err != nil {
			return nil, err
		}
		l := listedStack{Name: s.Name, Pool: s.Pool, Candidate: s.Candidate, Versions: len(versions), Devices: len(devices), Since: s.Created}
		if len(versions) > 0 {
			l.Serial = &versions[0].Serial
		}
		listed = append(listed, l)
	}
	return listed, nil
}

// versions returns what is recorded of a stack, newest first.
func (h history) versions(ctx context.Context, stack string) ([]state.StateVersion, error) {
	versions, err := h.Versions(ctx, stack)
	if versions == nil {
		versions = []state.StateVersion{} // as JSON [], not null
	}
	if state.CodeOf(err) != state.NotFound {
		return versions, err
	}
	stacks, err := h.Stacks(ctx)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, s := range slices.Backward(stacks) {
		known = append(known, s.Name)
	}
	return nil, fmt.Errorf("there is no stack %s; there are %s", stack, some(known))
}

// recorded is versions, of a stack of which there must be one.
func (h history) recorded(ctx context.Context, stack string) ([]state.StateVersion, error) {
	versions, err := h.versions(ctx, stack)
	if err == nil && len(versions) == 0 {
		err = fmt.Errorf("no state of stack %s is recorded yet: no run of it has ended", stack)
	}
	return versions, err
}

// one returns a stack's newest state of that serial; nil: the newest of all.
func (h history) one(ctx context.Context, stack string, serial *int64) (state.StateVersion, tfmodules.State, error) {
	versions, err := h.recorded(ctx, stack)
	if err != nil {
		return state.StateVersion{}, tfmodules.State{}, err
	}
	v := versions[0]
	if serial != nil {
		if v, err = pick(versions, *serial); err != nil {
			return v, tfmodules.State{}, err
		}
	}
	shown, err := h.read(ctx, v)
	return v, shown, err
}

func (h history) read(ctx context.Context, v state.StateVersion) (tfmodules.State, error) {
	stateJSON, err := h.StateBytes(ctx, v)
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
func pick(versions []state.StateVersion, serial int64) (state.StateVersion, error) {
	var known []string
	for _, v := range versions {
		if v.Serial == serial {
			return v, nil
		}
		known = append(known, fmt.Sprint(v.Serial))
	}
	return state.StateVersion{}, fmt.Errorf("no state of stack %s with serial %d is recorded; there are %s", versions[0].Stack, serial, some(known))
}

// some joins as many names as fit a line.
func some(names []string) string {
	const most = 25
	switch n := len(names); {
	case n == 0:
		return "none"
	case n > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}

func told(v state.StateVersion) string {
	return fmt.Sprintf("serial %d (run %d, %s)", v.Serial, v.Run, stamp(v.At))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
