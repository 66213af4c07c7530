package terraform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/terraform-exec/tfexec"
	tfjson "github.com/hashicorp/terraform-json"

	"hangar/state"
)

// planFile is a stack's saved plan, in its folder. It holds secrets.
const planFile = "plan"

// Plan renders the workspace, initialises it when needed, and saves a plan of
// it for Apply. It does not look at the provider: what it plans follows from
// the state alone. A failed terraform is an *Error; how long it took so far is
// told all the same.
func (r *Runner) Plan(ctx context.Context, ws state.Workspace) (state.Plan, error) {
	plan, err := r.plan(ctx, ws)
	if err != nil {
		if _, ok := errors.AsType[*Error](err); !ok {
			err = fmt.Errorf("plan stack %s: %w", ws.Stack.Name, err)
		}
		return state.Plan{Timings: plan.Timings}, err
	}
	return plan, nil
}

func (r *Runner) plan(ctx context.Context, ws state.Workspace) (plan state.Plan, err error) {
	module, err := r.module(ws.Stack.Module)
	if err != nil {
		return plan, err
	}
	p, err := r.stackPlace(ws.Stack.Name, module)
	if err != nil {
		return plan, err
	}
	if err := r.writeConfig(); err != nil {
		return plan, err
	}
	if err := r.render(ws, module, p.dir); err != nil {
		return plan, err
	}
	tf, err := r.command(p.dir, module.Name)
	if err != nil {
		return plan, err
	}
	var took state.Timings
	if err := timed(&took.Init, func() error { return r.initialise(ctx, tf, p) }); err != nil {
		return state.Plan{Timings: took}, err
	}
	var text string
	if err := timed(&took.Plan, func() (err error) { text, err = r.runPlan(ctx, tf, ws.Stack.Name); return err }); err != nil {
		p.distrust()
		return state.Plan{Timings: took}, err
	}
	err = timed(&took.Show, func() (err error) { plan, err = r.showPlan(ctx, tf, ws.Stack.Name, text); return err })
	for i := range plan.Changes {
		plan.Changes[i].Companion = module.CompanionOf(plan.Changes[i].Address)
	}
	if err == nil {
		plan.Saved, err = r.Saved(ws.Stack.Name)
	}
	plan.Timings = took
	return plan, err
}

// timed notes how long something took, in seconds.
func timed(took *float64, what func() error) error {
	began := time.Now()
	err := what()
	*took = time.Since(began).Seconds()
	return err
}

// Saved tells the plan that is saved for a stack, and the state that is there: a
// plan may be applied as long as both are what they were when it was made.
func (r *Runner) Saved(stack string) (saved state.Saved, err error) {
	dir, err := r.stack(stack)
	if err != nil {
		return saved, err
	}
	if saved.Plan, err = digest(filepath.Join(dir, planFile)); err == nil {
		saved.State, err = digest(filepath.Join(dir, stateFile))
	}
	if err != nil {
		return saved, fmt.Errorf("read the saved plan of stack %s: %w", stack, err)
	}
	return saved, nil
}

// digest is the SHA-256 of a file, in hex; empty when it is not there.
func digest(path string) (string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), err
}

// runPlan saves a plan and returns what terraform says of it.
func (r *Runner) runPlan(ctx context.Context, tf *tfexec.Terraform, stack string) (string, error) {
	op := "plan stack " + stack
	var stdout, stderr bytes.Buffer
	tf.SetStdout(&stdout)
	tf.SetStderr(&stderr)
	err := r.process("plan", func() error {
		_, err := tf.Plan(ctx, tfexec.Refresh(false), tfexec.Out(planFile), tfexec.LockTimeout(r.LockTimeout.String()))
		return err
	})
	if err != nil {
		return "", r.failure(op, err, stderr.String())
	}
	if err := private(tf.WorkingDir(), planFile); err != nil {
		return "", fmt.Errorf("%s: %w", op, err)
	}
	return r.mask().planText(withoutNote(stdout.String())), nil
}

// showPlan reads the saved plan.
func (r *Runner) showPlan(ctx context.Context, tf *tfexec.Terraform, stack, text string) (state.Plan, error) {
	op := "show the plan of stack " + stack
	tf.SetStdout(io.Discard)
	tf.SetStderr(io.Discard)
	if _, _, err := tf.Version(ctx, false); err != nil { // once; else its answer would be among the plan's
		return state.Plan{}, r.failure(op, err, "")
	}
	var stdout, stderr bytes.Buffer
	tf.SetStdout(&stdout)
	tf.SetStderr(&stderr)
	var shown *tfjson.Plan
	err := r.process("show", func() (err error) {
		shown, err = tf.ShowPlanFile(ctx, planFile)
		return err
	})
	if err != nil {
		return state.Plan{}, r.failure(op, err, stderr.String())
	}
	masked, err := r.mask().plan(stdout.Bytes())
	if err != nil {
		return state.Plan{}, err
	}
	plan := state.Plan{Text: text, JSON: masked, Drift: changes(shown.ResourceDrift)}
	for _, c := range shown.ResourceChanges {
		if c.Mode == tfjson.ManagedResourceMode {
			plan.Changes = append(plan.Changes, change(c))
		}
	}
	return plan, nil
}

func changes(list []*tfjson.ResourceChange) []state.Change {
	var found []state.Change
	for _, c := range list {
		found = append(found, change(c))
	}
	return found
}

func change(c *tfjson.ResourceChange) state.Change {
	found := state.Change{Address: c.Address}
	for _, a := range c.Change.Actions {
		found.Actions = append(found.Actions, string(a))
	}
	if c.Change.Importing != nil {
		found.ImportID = c.Change.Importing.ID
	}
	return found
}

// withoutNote cuts off where terraform says how to apply the saved plan,
// which is hangar's to do, with the rule above it.
func withoutNote(text string) string {
	if at := strings.LastIndex(text, "\nSaved the plan to: "); at >= 0 {
		text = strings.TrimRight(text[:at], "\n─")
	}
	return strings.TrimRight(text, "\n") + "\n"
}

// private takes away everybody else's rights to files in dir, of which some
// may not be there: terraform itself creates them for all to read.
func private(dir string, names ...string) error {
	for _, name := range names {
		if err := os.Chmod(filepath.Join(dir, name), 0o600); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
