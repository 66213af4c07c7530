package terraform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"hangar/state"
)

// Prepare runs, ahead of need, the init that the stacks of a candidate's module
// share, so that the first of them finds it done. One caller at a time.
func (r *Runner) Prepare(ctx context.Context, c state.Candidate) (err error) {
	module, err := r.module(c.Module)
	if err != nil {
		return err
	}
	if err := r.writeConfig(); err != nil {
		return err
	}
	// As deep as a stack's folder, so that the module's path is the same.
	dir := filepath.Join(r.own(), "ahead")
	defer func() {
		r.commands.Delete(dir)
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	ws := state.Workspace{Stack: state.Stack{Name: "ahead", Module: c.Module, Settings: c.Settings}}
	if err := r.render(ws, module, dir); err != nil {
		return err
	}
	tf, err := r.command(dir, module.Name)
	if err != nil {
		return err
	}
	return r.initialise(ctx, tf, place{
		name: fmt.Sprintf("module %s ahead", module.Name), dir: dir, module: module, providers: module.Providers,
		prepared: filepath.Join(r.prepared(), module.Folder()),
	})
}
