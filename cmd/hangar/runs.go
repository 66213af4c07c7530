package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"hangar/state"
)

type runsCommand struct {
	ID    int64          `arg:"" optional:"" help:"Show this run: its plan, the guard's verdict, how long it took, and its log."`
	Phase state.RunPhase `help:"Only runs in this phase: planning, planned (they wait), refused, applying, applied, errored, interrupted, discarded." enum:",planning,planned,refused,applying,applied,errored,interrupted,discarded" default:""`
	Stack string         `help:"Only runs of this stack."`
	Limit int            `help:"At most so many." default:"50"`
	JSON  bool           `name:"json" help:"Print JSON."`
}

func (runsCommand) Help() string {
	return "Reads the records; it needs only DRONE_DATA, and works beside a running hangar serve or without one. The newest run comes first.\n\nExample: hangar runs --phase planned"
}

// shownRun is a run with its plan and log.
type shownRun struct {
	state.Run
	Plan string `json:"plan"` // as terraform prints it
	Log  string `json:"log"`
}

// Run lists runs, or shows one.
func (c runsCommand) Run(p *program) error {
	h, err := openHistory(p)
	if err != nil {
		return err
	}
	defer h.Close()
	if c.ID == 0 {
		runs, err := h.Runs(p.ctx, state.RunFilter{Stack: c.Stack, Phase: c.Phase, Limit: max(1, c.Limit)})
		if err != nil {
			return err
		}
		if c.JSON {
			return encode(p.stdout, append([]state.Run{}, runs...))
		}
		return printRuns(p.stdout, runs)
	}
	run, err := h.Run(p.ctx, c.ID)
	if err != nil {
		return err
	}
	plan, err := h.RunPlan(p.ctx, c.ID)
	if err != nil && state.CodeOf(err) != state.NotFound { // it made none
		return err
	}
	log, err := h.RunLog(p.ctx, c.ID)
	if err != nil {
		return err
	}
	shown := shownRun{run, plan.Text, log}
	if c.JSON {
		return encode(p.stdout, shown)
	}
	return shown.print(p.stdout)
}

func encode(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func printRuns(out io.Writer, runs []state.Run) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tSTACK\tPHASE\tCREATE\tDESTROY\tADOPT\tSTARTED\tBY\tTOLD")
	for _, r := range runs {
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", r.ID, r.Stack, r.Phase, len(r.Creates), len(r.Deletes), len(r.Imports),
			r.Started.Local().Format(time.DateTime), cmp.Or(r.By, "-"), toldOf(r))
	}
	return w.Flush()
}

// toldOf is what there is to tell of a run in the line of a table.
func toldOf(r state.Run) string {
	told := cmp.Or(r.Error, r.Verdict)
	switch {
	case r.Undecided():
		told = fmt.Sprintf("waits for approval since %s", r.Waits.Local().Format(time.DateTime))
	case r.Awaits():
		told = "approved, is about to be applied"
	}
	told, _, _ = strings.Cut(told, "\n")
	return cmp.Or(told, "-")
}

func (s shownRun) print(out io.Writer) error {
	fmt.Fprintf(out, "Run %d of stack %s (pool %s): %s\n", s.ID, s.Stack, s.Pool, s.Phase)
	tell := func(what, text string) {
		if text != "" {
			fmt.Fprintf(out, "%s: %s\n", what, text)
		}
	}
	if s.Awaits() {
		tell("Waits", toldOf(s.Run))
	}
	tell("Create", strings.Join(s.Creates, ", "))
	tell("Destroy", strings.Join(s.Deletes, ", "))
	tell("Guard", s.Verdict)
	tell("Decided by", s.By)
	tell("Error", s.Error)
	tell("Took", s.Timings.String())
	if s.Plan != "" {
		fmt.Fprintf(out, "\n%s", s.Plan)
	}
	if s.Log != "" {
		fmt.Fprintf(out, "\n%s", s.Log)
	}
	return nil
}

type approveCommand struct {
	Number int64 `arg:"" name:"run" help:"Number of the run."`
}

func (approveCommand) Help() string {
	return "Asks the running hangar serve; needs DRONE_DATA and DRONE_SERVER_TOKEN. Exactly the plan that hangar runs ID shows is applied: one that has gone stale is planned anew, and waits again.\n\nExample: hangar approve 12"
}

// Run approves a run.
func (c approveCommand) Run(p *program) error { return decideRun(p, c.Number, "approve") }

type discardCommand struct {
	Number int64 `arg:"" name:"run" help:"Number of the run."`
}

func (discardCommand) Help() string {
	return "Asks the running hangar serve; needs DRONE_DATA and DRONE_SERVER_TOKEN. Servers that were to be made are given up, those that were to be destroyed go back to work if they can, and neither is asked for again before the demand of their pool changes.\n\nExample: hangar discard 12"
}

// Run discards a run.
func (c discardCommand) Run(p *program) error { return decideRun(p, c.Number, "discard") }

// decideRun has the running server approve or discard a run.
func decideRun(p *program, run int64, what string) error {
	a, err := newAsker(p)
	if err != nil {
		return err
	}
	answer, err := askServer(p.ctx, a.cfg, http.MethodPost, fmt.Sprintf("%s/api/runs/%d/%s", a.url, run, what))
	if err != nil {
		return err
	}
	defer answer.Close()
	var decided state.Run
	if err := json.NewDecoder(answer).Decode(&decided); err != nil {
		return fmt.Errorf("read the answer of %s: %w", a.url, err)
	}
	done := map[string]string{"approve": "approved", "discard": "discarded"}[what]
	fmt.Fprintf(p.stdout, "Run %d of stack %s: %s by %s\n", decided.ID, decided.Stack, done, decided.By)
	return nil
}
