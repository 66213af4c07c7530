package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"hangar/reconciler/history"
	"hangar/state"
	"hangar/state/sqlite"
)

// recordedStates is the records, opened to read the states in them.
type recordedStates struct {
	*sqlite.Store
	history.History
}

// openHistory opens the records by the few settings that say where they are.
// Records that cannot be opened are a mistake in those.
func openHistory(p *program) (recordedStates, error) {
	_, h, err := recordsOf(p)
	return h, err
}

// databaseSettings are the settings that tell where the records are.
func databaseSettings(name string) bool {
	return name == "DRONE_DATA" || strings.HasPrefix(name, "DRONE_DATABASE_")
}

// recordsOf opens the records for reading, and tells where all else is.
func recordsOf(p *program) (Config, recordedStates, error) {
	cfg, err := parseSettings(p.environ, databaseSettings)
	if err != nil {
		return cfg, recordedStates{}, err
	}
	store, err := sqlite.OpenReadOnly(p.ctx, cfg.databasePath())
	if state.CodeOf(err) == state.NotFound {
		return cfg, recordedStates{}, ConfigError{err.Error() + " DRONE_DATA names its data folder, DRONE_DATABASE_DATASOURCE the file"}
	}
	if state.CodeOf(err) != "" {
		return cfg, recordedStates{}, ConfigError{err.Error()}
	}
	return cfg, recordedStates{store, history.History{Store: store}}, err
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

func (h recordedStates) list(ctx context.Context) ([]listedStack, error) {
	stacks, err := h.Stacks(ctx)
	if err != nil {
		return nil, err
	}
	listed := []listedStack{}
	for _, s := range stacks {
		versions, err := h.Store.Versions(ctx, s.Name)
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

func told(v state.StateVersion) string {
	return fmt.Sprintf("serial %d (run %d, %s)", v.Serial, v.Run, stamp(v.At))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
