package terraform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/hashicorp/terraform-exec/tfexec"

	"hangar/state"
	"hangar/tfmodules"
)

// applyLockTimeout is short: what the caller looked at before a destroy must
// not be old when it happens. Plan is where a person's lock is waited for.
const applyLockTimeout = 2 * time.Second

// Apply applies the plan that Plan saved, with so many changes at once, and
// removes it. Once terraform has begun, nothing cancels it: an apply that is
// cut off forgets machines. What happens to the servers is told to on as it
// happens, one event at a time; slow ears do not hold up terraform. The
// result is whole also when the error, an *Error, says that the apply failed; it
// tells whether anything began.
func (r *Runner) Apply(ctx context.Context, ws state.Workspace, changes int, on func(state.ApplyEvent)) (state.ApplyResult, error) {
	op := "apply stack " + ws.Stack.Name
	dir, err := r.stack(ws.Stack.Name)
	if err != nil {
		return state.ApplyResult{}, err
	}
	defer os.Remove(filepath.Join(dir, planFile))
	module, err := r.module(ws.Stack.Module)
	if err != nil {
		return state.ApplyResult{}, fmt.Errorf("%s: %w", op, err)
	}
	tf, err := r.command(dir, module.Name)
	if err != nil {
		return state.ApplyResult{}, fmt.Errorf("%s: %w", op, err)
	}
	stream := newStream("module.devices."+module.Resource, r.mask())
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		newDelivery(dir, module, on).run(stream.events)
	}()
	stderr, err := r.runApply(context.WithoutCancel(ctx), tf, max(changes, 1), stream)
	result := stream.close(stderr)
	<-delivered
	err = errors.Join(err, private(dir, "terraform.tfstate", "terraform.tfstate.backup"))
	if err != nil {
		return result, &Error{Op: op, Diagnostics: result.Diagnostics, Log: result.Log, Err: r.ending(err)}
	}
	return result, nil
}

func (r *Runner) runApply(ctx context.Context, tf *tfexec.Terraform, changes int, stdout io.Writer) (string, error) {
	// Terraform is killed when the thread that started it ends
	// (terraform-exec sets PDEATHSIG): no other goroutine gets this thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var stderr bytes.Buffer
	tf.SetStdout(io.Discard)
	tf.SetStderr(&stderr)
	if _, _, err := tf.Version(ctx, false); err != nil {
		return stderr.String(), err
	}
	err := r.process("apply", func() error {
		return tf.ApplyJSON(ctx, stdout, tfexec.DirOrPlan(planFile), tfexec.Parallelism(changes),
			tfexec.LockTimeout(applyLockTimeout.String()))
	})
	return stderr.String(), err
}

// devices reads what a stack's state file shows of its servers.
func devices(dir string, module tfmodules.Module) (map[string]state.Device, error) {
	content, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, err
	}
	return module.Devices(content)
}
