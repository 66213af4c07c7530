package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"hangar/reconciler"
	"hangar/reconciler/drone"
	"hangar/reconciler/terraform"
	"hangar/state"
	"hangar/state/sqlite"
)

type planCommand struct{ printing }

// planned is what would be done, as JSON has it.
type planned struct {
	Decision state.Decision `json:"decision"`
	InFlight []state.Run    `json:"in_flight"` // runs of the running server
	Stacks   []plannedStack `json:"stacks"`    // that would be planned now
}

// plannedStack is a stack with terraform's plan of it.
type plannedStack struct {
	Stack     string            `json:"stack"`
	Candidate string            `json:"candidate"`
	Creates   []string          `json:"creates"` // servers
	Deletes   []string          `json:"deletes"`
	Imports   map[string]string `json:"imports"` // ids of devices, by server
	Text      string            `json:"text"`    // as terraform prints it
	Verdict   string            `json:"verdict"` // the guard's, in words
	Check     string            `json:"check"`   // that of DRONE_TERRAFORM_CHECK; empty: it was not asked
}

func (planCommand) Help() string {
	return "Takes the same environment as hangar serve. It works on a copy of the records, beside a running server or without one: the names of new servers and stacks are made for this look only. DRONE_TERRAFORM_CHECK is asked about each plan, as hangar serve asks it."
}

// Run makes one real pass and plans every stack that is due, on a copy of the
// records and states in a folder that is removed at the end.
func (c planCommand) Run(p *program) (err error) {
	cfg, err := parseConfig(p.environ)
	if err != nil {
		return err
	}
	out := p.stdout
	if c.JSON {
		out = io.Discard
	}
	agents, err := cfg.agents()
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	poolSource, err := cfg.pools(p.environ, agents, quiet)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "hangar-plan-")
	if err != nil {
		return fmt.Errorf("make a folder to plan in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()

	store, err := copyRecords(p.ctx, out, cfg.databasePath(), filepath.Join(scratch, "database.sqlite"))
	if err != nil {
		return err
	}
	defer store.Close()
	instance, err := store.Instance(p.ctx, cfg.Instance)
	if err != nil {
		return err
	}
	env, err := moduleEnv(p.ctx, store, poolSource.Set())
	if err != nil {
		return err
	}
	runner, err := newRunner(p.ctx, cfg, p.environ, cfg.installed(scratch), instance, agents, func() map[string][]string { return env })
	if err != nil {
		return err
	}
	check, err := newCheck(cfg, p.environ, agents.environ)
	if err != nil {
		return err
	}
	queue := drone.New(cfg.ServerURL(), cfg.ServerToken)
	r := reconciler.New(queue, store, poolSource)
	r.StackSize, r.Log = cfg.TerraformStackSize, quiet
	d, err := r.Pass(p.ctx)
	if err != nil {
		return err
	}
	printDecision(out, d)
	if err := printStanding(p.ctx, out, store); err != nil {
		return err
	}
	running, err := store.Unfinished(p.ctx)
	if err != nil {
		return err
	}
	answer := planned{Decision: d, InFlight: append([]state.Run{}, running...), Stacks: []plannedStack{}}
	due, err := store.Due(p.ctx, time.Now())
	if err != nil {
		return err
	}
	names := make([]string, len(due))
	for i, stack := range due {
		names[i] = stack.Name
	}
	aside, err := runner.Scratch(p.ctx, scratch, names...)
	if err != nil {
		return err
	}
	if err := aside.Install(poolSource.Set().Modules...); err != nil {
		return err
	}
	var failed []error
	for _, name := range names {
		one, err := planStack(p.ctx, out, name, store, aside, check)
		if failed = append(failed, err); one.Stack != "" {
			answer.Stacks = append(answer.Stacks, one)
		}
	}
	fmt.Fprintln(out, "\nNothing was changed.")
	if c.JSON {
		failed = append(failed, c.print(p.stdout, answer, nil))
	}
	return errors.Join(failed...)
}

// installed is where terraform is looked for and installed by a command that
// must not write into the data folder: there, if serve has installed one.
func (c Config) installed(scratch string) string {
	if own := filepath.Join(c.Data, "terraform"); exists(own) {
		return own
	}
	return filepath.Join(scratch, "terraform")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// copyRecords opens a copy of the records, or empty ones when there are none,
// or only those of drone/autoscaler.
func copyRecords(ctx context.Context, w io.Writer, from, to string) (*sqlite.Store, error) {
	servers, theirs, err := sqlite.Autoscaler(ctx, from)
	if err != nil {
		return nil, err
	}
	if theirs {
		fmt.Fprintf(w, "%s is a database of drone/autoscaler; hangar serve would keep it aside, untouched, and never touch its machines: %s\n\n", from, strings.Join(servers, ", "))
		return sqlite.Open(ctx, to)
	}
	source, err := sqlite.OpenReadOnly(ctx, from)
	if state.CodeOf(err) == state.NotFound {
		return sqlite.Open(ctx, to)
	}
	if err != nil {
		return nil, err
	}
	defer source.Close()
	if err := source.CopyTo(ctx, to); err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, to)
}

// printStanding prints what no plan is made for now: runs in flight, and
// stacks that wait or need a person.
func printStanding(ctx context.Context, w io.Writer, store *sqlite.Store) error {
	runs, err := store.Unfinished(ctx)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if run.Awaits() {
			fmt.Fprintf(w, "\nStack %s: run %d %s\n", run.Stack, run.ID, toldOf(run))
			continue
		}
		fmt.Fprintf(w, "\nStack %s: run %d is %s\n", run.Stack, run.ID, run.Phase)
	}
	stacks, err := store.Stacks(ctx)
	if err != nil {
		return err
	}
	for _, s := range stacks {
		if s.Unclean != "" {
			fmt.Fprintf(w, "\nStack %s is planned when its machines have been looked for: %s\n", s.Name, s.Unclean)
		} else if s.RetryAt.After(time.Now()) {
			fmt.Fprintf(w, "\nStack %s is not planned before %s, after %d failures\n", s.Name, s.RetryAt.Format(time.RFC3339), s.Failures)
		}
	}
	return nil
}

// planStack plans a stack and prints terraform's plan with what the guard and the
// check say of it. What it returns has no name when there is nothing to plan.
func planStack(ctx context.Context, w io.Writer, name string, store *sqlite.Store, runner *terraform.Runner, check reconciler.Check) (one plannedStack, err error) {
	run, ws, err := store.BeginRun(ctx, name, time.Now())
	if err != nil || run.ID == 0 {
		return one, err
	}
	plan, err := runner.Plan(ctx, ws)
	if err != nil {
		return one, err
	}
	one = plannedStack{Stack: name, Candidate: ws.Stack.Candidate, Creates: run.Creates, Deletes: run.Deletes, Imports: run.Imports, Text: plan.Text}
	verdict, passed := reconciler.Guard(reconciler.Wanted{Resource: ws.Stack.Resource, Creates: run.Creates, Deletes: run.Deletes, Imports: run.Imports}, plan)
	one.Verdict = verdict
	fmt.Fprintf(w, "\nStack %s in %s\n%s\nGuard: %s\n", name, one.Candidate, plan.Text, verdict)
	if !passed || check == nil || len(run.Imports) > 0 {
		return one, nil
	}
	one.Check = "passed"
	if err := check.Check(ctx, run, plan.JSON); state.CodeOf(err) == state.Forbidden {
		one.Check = "refused: " + err.Error()
	} else if err != nil {
		return one, fmt.Errorf("put the plan of stack %s to DRONE_TERRAFORM_CHECK: %w", name, err)
	}
	fmt.Fprintf(w, "Check: %s\n", one.Check)
	return one, nil
}

// printDecision prints a decision with its reasons, as a person reads it.
func printDecision(out io.Writer, d state.Decision) {
	for _, p := range d.Pools {
		fmt.Fprintf(out, "Pool %s: %s\n", p.Pool, p.Reason)
		fmt.Fprintf(out, "  %d waiting, %d assigned, %d held back; room for %d, %d of it free; %d servers\n",
			p.Waiting, p.Assigned, p.HeldBack, p.Usable, p.Free, p.Billed)
	}
	if d.Paused {
		fmt.Fprintln(out, "Paused: nothing is created or removed until POST /api/resume")
	}
	for _, u := range d.Unmatched {
		fmt.Fprintf(out, "Unmatched: %d stages ask for %s: %s\n", len(u.Stages), u.Asks, u.Reason)
	}
	if len(d.Servers) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "\nSERVER\tPHASE\tACTION\tREASON")
		for _, s := range d.Servers {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Server, s.Phase, s.Action, s.Reason)
		}
		w.Flush()
	}
}
