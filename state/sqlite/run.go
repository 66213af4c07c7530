package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hangar/state"
)

const runColumns = `id, stack, pool, generation, decision, phase, creates, deletes, forced, keeps, imports,
	verdict, error, diagnostics, waits, approved, decided_by, saved, timings, started, planned, applying, finished`

// unfinished is true of a run that has not ended; spelled as in the schema,
// whose index it uses.
const unfinished = "phase IN ('planning', 'planned', 'applying')"

func scanRun(r row) (run state.Run, err error) {
	err = r.Scan(&run.ID, &run.Stack, &run.Pool, &run.Generation, &run.Decision, &run.Phase,
		asJSON{&run.Creates}, asJSON{&run.Deletes}, asJSON{&run.Forced}, asJSON{&run.Keeps}, asJSON{&run.Imports},
		&run.Verdict, &run.Error, asJSON{&run.Diagnostics},
		stamp{&run.Waits}, stamp{&run.Approved}, &run.By, asJSON{&run.Saved}, asJSON{&run.Timings},
		stamp{&run.Started}, stamp{&run.Planned}, stamp{&run.Applying}, stamp{&run.Finished})
	return run, err
}

func oneRun(t tx, id int64) (state.Run, error) {
	run, found, err := one(t, scanRun, "SELECT "+runColumns+" FROM runs WHERE id = ?", id)
	if err == nil && !found {
		err = state.Errorf(state.NotFound, "there is no run %d", id)
	}
	return run, err
}

// BeginRun records the beginning of a run, planning, and returns it with what
// is to be rendered. It adopts devices that are known and in no state yet, and
// nothing else then; otherwise it creates the stack's pending servers and
// destroys its stopping ones. What is in the stack's state besides is kept.
// When there is nothing to do, the stack's generation counts as applied, and
// the run, of ID 0, is not recorded. It is a Conflict when a run of the stack
// has not ended, or its devices are to be looked for first.
func (s *Store) BeginRun(ctx context.Context, stack string, at time.Time) (run state.Run, ws state.Workspace, err error) {
	err = s.write(ctx, "begin a run of stack "+stack, func(t tx) error {
		if ws.Stack, err = oneStack(t, stack); err != nil {
			return err
		}
		if err := idle(t, ws.Stack); err != nil {
			return err
		}
		present, err := presentIn(t, stack)
		if err != nil {
			return err
		}
		inState, err := outputsOf(t, stack)
		if err != nil {
			return err
		}
		kept, err := parked(t)
		if err != nil {
			return err
		}
		run, ws.Servers = intend(ws.Stack, present, inState, kept)
		ws.Imports = run.Imports
		if len(run.Creates)+len(run.Deletes)+len(run.Imports) == 0 {
			ws.Stack, err = converged(t, stack, at)
			return err
		}
		run.ID, err = addRun(t, run, at)
		if err != nil {
			return err
		}
		run, err = oneRun(t, run.ID)
		return err
	})
	return run, ws, err
}

// idle is a Conflict when no run of the stack may begin.
func idle(t tx, stack state.Stack) error {
	if stack.Unclean != "" {
		return state.Errorf(state.Conflict, "its devices are to be looked for first: %s", stack.Unclean)
	}
	other, err := t.count("SELECT coalesce(max(id), 0) FROM runs WHERE stack = ? AND "+unfinished, stack.Name)
	if err == nil && other != 0 {
		err = state.Errorf(state.Conflict, "run %d of it has not ended", other)
	}
	return err
}

// Rested returns a stack with what is to be rendered into it while no run of
// it is under way: what its state holds, and what is to be created next.
func (s *Store) Rested(ctx context.Context, stack string) (ws state.Workspace, err error) {
	err = s.read(ctx, "read stack "+stack, func(t tx) error {
		if ws.Stack, err = oneStack(t, stack); err != nil {
			return err
		}
		present, err := presentIn(t, stack)
		if err != nil {
			return err
		}
		inState, err := outputsOf(t, stack)
		for _, s := range present {
			if _, there := inState[s.Name]; there || s.Phase == state.Pending {
				ws.Servers = append(ws.Servers, s)
			}
		}
		return err
	})
	return ws, err
}

// intend says what a run of the stack is to do, and which servers are to be
// rendered for it. A server whose device is in doubt, or is known to be absent,
// is left to the looks; one that is parked is kept.
func intend(stack state.Stack, servers []state.Server, inState map[string]state.Device, parked map[string]bool) (state.Run, []state.Server) {
	run := state.Run{
		Stack: stack.Name, Pool: stack.Pool, Generation: stack.Generation, Phase: state.RunPlanning,
		Creates: []string{}, Deletes: []string{}, Forced: []string{}, Keeps: []string{}, Imports: map[string]string{}, Diagnostics: []state.Diagnostic{},
	}
	run.Imports = adoptable(stack, servers, inState, parked)
	wanted := []state.Server{}
	for _, s := range servers {
		_, there := inState[s.Name]
		_, imported := run.Imports[s.Name]
		switch {
		case imported:
		case len(run.Imports) == 0 && s.Phase == state.Pending && s.ID == "":
			run.Creates = append(run.Creates, s.Name)
		case len(run.Imports) == 0 && there && s.Phase == state.Stopping && !s.Booting() && !s.Taken && !parked[s.Name]:
			run.Deletes = append(run.Deletes, s.Name)
			if s.Forced {
				run.Forced = append(run.Forced, s.Name)
			}
			continue
		case there:
			run.Keeps = append(run.Keeps, s.Name)
		default:
			continue
		}
		wanted = append(wanted, s)
	}
	return run, wanted
}

// adoptable are the devices that a run of the stack is to adopt: known, and in no
// state. After a failure each second try leaves them alone, when there is
// something else to do, and the others try one of them: a device that cannot be
// adopted holds nothing else up.
func adoptable(stack state.Stack, servers []state.Server, inState map[string]state.Device, parked map[string]bool) map[string]string {
	imports := map[string]string{}
	var names []string
	other := false
	for _, s := range servers {
		_, there := inState[s.Name]
		switch {
		case !there && s.ID != "" && s.Doubt.IsZero() && s.Absent == "" && !s.Taken:
			imports[s.Name] = s.ID
			names = append(names, s.Name)
		case s.Phase == state.Pending, there && s.Phase == state.Stopping && !s.Booting() && !s.Taken && !parked[s.Name]:
			other = true
		}
	}
	switch {
	case stack.Failures == 0 || len(names) == 0:
	case stack.Failures%2 == 1 && other:
		return map[string]string{}
	default:
		one := names[stack.Failures/2%len(names)]
		return map[string]string{one: imports[one]}
	}
	return imports
}

// converged records that the stack is what is wanted, without a run.
func converged(t tx, stack string, at time.Time) (state.Stack, error) {
	if err := t.do("UPDATE stacks SET applied = generation, failures = 0, retry_at = 0 WHERE name = ?", stack); err != nil {
		return state.Stack{}, err
	}
	if err := noteEmpty(t, stack, at); err != nil {
		return state.Stack{}, err
	}
	return oneStack(t, stack)
}

// noteEmpty records since when a stack has been empty: no server of it is
// left, its state shows no device, and none is looked for. Nothing joins it any
// more.
func noteEmpty(t tx, stack string, at time.Time) error {
	return t.do(`UPDATE stacks SET emptied = ?2, open = 0
		WHERE name = ?1 AND emptied = 0 AND unclean = '' AND look_at = 0 AND outputs = '{}'
			AND NOT EXISTS (SELECT 1 FROM servers WHERE servers.stack = stacks.name AND servers.phase <> 'stopped')`,
		stack, micros(at))
}

func addRun(t tx, run state.Run, at time.Time) (int64, error) {
	if err := t.do("UPDATE stacks SET open = 0 WHERE name = ?", run.Stack); err != nil {
		return 0, err
	}
	return t.count(`INSERT INTO runs (stack, decision, pool, generation, phase, creates, deletes, forced, keeps, imports, started)
		VALUES (?1, (SELECT decision FROM stacks WHERE name = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING id`,
		run.Stack, run.Pool, run.Generation, run.Phase,
		asJSON{run.Creates}, asJSON{run.Deletes}, asJSON{run.Forced}, asJSON{run.Keeps}, asJSON{run.Imports}, micros(at))
}

// Planned records a run's plan, masked as it is given, and the guard's
// verdict. It is a Conflict when the run is not planning.
func (s *Store) Planned(ctx context.Context, run int64, at time.Time, plan state.Plan, verdict string) error {
	return s.write(ctx, fmt.Sprintf("record the plan of run %d", run), func(t tx) error {
		if _, err := runIn(t, run, state.RunPlanning); err != nil {
			return err
		}
		packed, err := compress(plan.JSON)
		if err != nil {
			return err
		}
		if err := t.do("INSERT INTO plans (run, text, json) VALUES (?, ?, ?)", run, plan.Text, packed); err != nil {
			return err
		}
		return t.do("UPDATE runs SET phase = 'planned', planned = ?2, verdict = ?3, saved = ?4, timings = ?5 WHERE id = ?1",
			run, micros(at), verdict, asJSON{plan.Saved}, asJSON{plan.Timings})
	})
}

// runIn returns a run; Conflict when it is in none of the phases.
func runIn(t tx, id int64, phases ...state.RunPhase) (state.Run, error) {
	run, err := oneRun(t, id)
	if err == nil && !slices.Contains(phases, run.Phase) {
		err = state.Errorf(state.Conflict, "the run is %s", run.Phase)
	}
	return run, err
}

// BeginApply writes down, before it happens, that a planned run is applied:
// from now on devices of the servers that it creates may exist. It is a
// Conflict when the plan is stale: what is wanted of the stack has changed
// since, or a server has moved. So it is when the run waits and nobody has
// approved it.
func (s *Store) BeginApply(ctx context.Context, run int64, at time.Time) error {
	return s.write(ctx, fmt.Sprintf("begin the apply of run %d", run), func(t tx) error {
		r, err := runIn(t, run, state.RunPlanned)
		if err != nil {
			return err
		}
		stack, err := oneStack(t, r.Stack)
		if err != nil {
			return err
		}
		if r.Undecided() {
			return state.Errorf(state.Conflict, "nobody has approved it")
		}
		// An adoption is right whatever else is wanted.
		if stack.Generation != r.Generation && len(r.Imports) == 0 {
			return state.Errorf(state.Conflict, "the plan is stale: stack %s is at generation %d, the plan was made for %d", r.Stack, stack.Generation, r.Generation)
		}
		for _, server := range r.Deletes {
			if err := serverIn(t, server, state.Stopping); err != nil {
				return err
			}
		}
		for _, server := range r.Creates {
			if err := serverIn(t, server, state.Pending); err != nil {
				return err
			}
			if err := setPhase(t, server, state.Creating, fmt.Sprintf("run %d creates it", run), at); err != nil {
				return err
			}
			if err := t.do("UPDATE servers SET began = ? WHERE name = ?", micros(at), server); err != nil {
				return err
			}
		}
		r.Timings.Wait = instant(micros(at)).Sub(r.Planned).Seconds()
		return t.do("UPDATE runs SET phase = 'applying', applying = ?2, timings = ?3 WHERE id = ?1", run, micros(at), asJSON{r.Timings})
	})
}

func serverIn(t tx, name string, phase state.Phase) error {
	server, err := oneServer(t, name)
	if err == nil && server.Phase != phase {
		err = state.Errorf(state.Conflict, "the plan is stale: server %s is %s, no longer %s", name, server.Phase, phase)
	}
	return err
}
