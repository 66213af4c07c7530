package terraform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/hashicorp/terraform-exec/tfexec"

	"hangar/tfmodules"
)

// Inquire asks the API of a module's copy whether it knows what values name, by
// a plan that is not saved and can change nothing. What it does not know, each
// with the address of its data source where terraform tells it, is in the
// diagnostics of an *Error. The error is NotFound for a module of which nothing can be asked.
func (r *Runner) Inquire(ctx context.Context, module string, values map[string]any) error {
	err := r.inquire(ctx, module, values)
	if _, ok := errors.AsType[*Error](err); err != nil && !ok {
		return fmt.Errorf("ask the API of module %s: %w", module, err)
	}
	return err
}

func (r *Runner) inquire(ctx context.Context, folder string, values map[string]any) error {
	module, err := r.module(folder)
	if err != nil {
		return err
	}
	files, err := tfmodules.RenderInquiry(module, r.Provider[module.Name], values)
	if err != nil {
		return err
	}
	if err := r.writeConfig(); err != nil {
		return err
	}
	p := place{name: "inquiry", dir: filepath.Join(r.Dir, "inquiry")}
	if err := p.clear(); err != nil {
		return err
	}
	for name, content := range files {
		if err := writeFile(filepath.Join(p.dir, name), content); err != nil {
			return err
		}
	}
	tf, err := r.command(p.dir, module.Name)
	if err != nil {
		return err
	}
	if err := r.runInit(ctx, tf, "init inquiry"); err != nil {
		return err
	}
	var stderr bytes.Buffer
	tf.SetStdout(io.Discard)
	tf.SetStderr(&stderr)
	err = r.process("inquiry", func() error {
		_, err := tf.Plan(ctx, tfexec.Refresh(false), tfexec.Lock(false))
		return err
	})
	if err != nil {
		return r.failure("ask the API", err, stderr.String())
	}
	return nil
}
