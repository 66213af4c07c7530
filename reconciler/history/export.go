package history

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"hangar/state"
)

// Records is what an export reads.
type Records interface {
	Store
	// Stack returns a stack; NotFound.
	Stack(ctx context.Context, name string) (state.Stack, error)
	// Runs returns the runs that the filter selects, newest first.
	Runs(ctx context.Context, filter state.RunFilter) ([]state.Run, error)
	// RunPlan returns the plan of a run, its secrets masked; NotFound when it made
	// none.
	RunPlan(ctx context.Context, id int64) (state.Plan, error)
	RunLog(ctx context.Context, id int64) (string, error)
	// Decisions returns at most limit decisions with ids below before, newest first.
	Decisions(ctx context.Context, before int64, limit int) ([]state.Decision, error)
	// Events returns the events that the filter selects, the oldest first.
	Events(ctx context.Context, filter state.EventFilter) (events []state.Event, read int64, err error)
}

// Exported is what an export holds.
type Exported struct{ States, Runs, Decisions, Events int }

// Export writes all that is recorded of a stack as a tar.gz, in a folder of the
// stack's name:
//
//	stack.json                       the stack
//	versions.json                    its states, the oldest first: serial, SHA-256, run, decision
//	versions/0001-serial-3.json      what each says, secrets masked
//	versions/0001-serial-3.tfstate   with secrets: the state file as it was
//	runs.json                        its runs, the oldest first
//	runs/7.plan.txt, 7.plan.json     the plan of each, secrets masked
//	runs/7.log                       what terraform said, secrets masked
//	decisions.json                   the decisions that its runs followed
//	events.json                      what happened to it and its servers
//
// It is NotFound when there is no such stack.
func Export(ctx context.Context, records Records, stack string, secrets bool, w io.Writer) (Exported, error) {
	packed := gzip.NewWriter(w)
	e := &export{ctx: ctx, records: records, stack: stack, secrets: secrets, out: tar.NewWriter(packed), decisions: map[int64]bool{}}
	for _, part := range []func() error{e.versions, e.runs, e.decided, e.events, e.out.Close, packed.Close} {
		if err := part(); err != nil {
			return Exported{}, err
		}
	}
	return e.Exported, nil
}

type export struct {
	Exported
	ctx       context.Context
	records   Records
	stack     string
	secrets   bool
	out       *tar.Writer
	decisions map[int64]bool // that made something
}

// add adds a file.
func (e *export) add(name string, at time.Time, content []byte) error {
	if err := e.out.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: e.stack + "/" + name, Mode: 0o600, Size: int64(len(content)), ModTime: at, Format: tar.FormatPAX,
	}); err != nil {
		return err
	}
	_, err := e.out.Write(content)
	return err
}

func (e *export) addJSON(name string, at time.Time, v any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return err
	}
	return e.add(name, at, b.Bytes())
}

func (e *export) versions() error {
	h := History{e.records}
	versions, err := h.Versions(e.ctx, e.stack)
	if err != nil {
		return err
	}
	stack, err := e.records.Stack(e.ctx, e.stack)
	if err != nil {
		return err
	}
	stack.Settings = state.WithoutSecrets(stack.Settings)
	if err := e.addJSON("stack.json", stack.Created, stack); err != nil {
		return err
	}
	slices.Reverse(versions)
	for i, v := range versions {
		name := fmt.Sprintf("versions/%04d-serial-%d", i+1, v.Serial)
		shown, err := h.Read(e.ctx, v)
		if err != nil {
			return err
		}
		if err := e.addJSON(name+".json", v.At, Shown{v, shown}); err != nil {
			return err
		}
		e.decisions[v.Decision] = true
		if !e.secrets {
			continue
		}
		stateJSON, err := e.records.StateBytes(e.ctx, v)
		if err != nil {
			return err
		}
		if err := e.add(name+".tfstate", v.At, stateJSON); err != nil {
			return err
		}
	}
	e.States = len(versions)
	return e.addJSON("versions.json", stack.Created, versions)
}

func (e *export) runs() error {
	runs := []state.Run{}
	for {
		filter := state.RunFilter{Stack: e.stack, Limit: 100}
		if len(runs) > 0 {
			filter.Before = runs[len(runs)-1].ID
		}
		page, err := e.records.Runs(e.ctx, filter)
		if err != nil {
			return err
		}
		runs = append(runs, page...)
		if len(page) < filter.Limit {
			break
		}
	}
	slices.Reverse(runs)
	for _, run := range runs {
		e.decisions[run.Decision] = true
		name := fmt.Sprintf("runs/%d", run.ID)
		plan, err := e.records.RunPlan(e.ctx, run.ID)
		if err == nil {
			if err := e.add(name+".plan.txt", run.Planned, []byte(plan.Text)); err != nil {
				return err
			}
			err = e.add(name+".plan.json", run.Planned, plan.JSON)
		}
		if err != nil && state.CodeOf(err) != state.NotFound {
			return err
		}
		log, err := e.records.RunLog(e.ctx, run.ID)
		if err != nil {
			return err
		}
		if log == "" {
			continue
		}
		if err := e.add(name+".log", run.Finished, []byte(log)); err != nil {
			return err
		}
	}
	e.Runs = len(runs)
	return e.addJSON("runs.json", time.Time{}, runs)
}

// decided adds the decisions that are still kept.
func (e *export) decided() error {
	decisions := []state.Decision{}
	var ids []int64
	for id := range e.decisions {
		if id > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		found, err := e.records.Decisions(e.ctx, id+1, 1)
		if err != nil {
			return err
		}
		if len(found) == 1 && found[0].ID == id {
			decisions = append(decisions, found[0])
		}
	}
	e.Decisions = len(decisions)
	return e.addJSON("decisions.json", time.Time{}, decisions)
}

func (e *export) events() error {
	events := []state.Event{}
	filter := state.EventFilter{Stack: e.stack, Limit: 500}
	for {
		page, read, err := e.records.Events(e.ctx, filter)
		if err != nil {
			return err
		}
		events = append(events, page...)
		if filter.After = read; len(page) < filter.Limit {
			break
		}
	}
	e.Events = len(events)
	return e.addJSON("events.json", time.Time{}, events)
}
