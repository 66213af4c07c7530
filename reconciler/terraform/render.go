package terraform

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"hangar/state"
	"hangar/tfmodules"
)

// render writes a stack's root module and the user data of its servers.
func (r *Runner) render(ws state.Workspace, module tfmodules.Module, dir string) error {
	root := tfmodules.Root{Module: module, Settings: ws.Stack.Settings, Provider: r.Provider[module.Name], Imports: ws.Imports}
	for _, s := range ws.Servers {
		root.Servers = append(root.Servers, tfmodules.Server{
			Name: s.Name,
			Tags: tfmodules.Tags(r.Instance, cmp.Or(ws.Stack.Tag, ws.Stack.Name), s.Runner(), r.ExtraTags[module.Name]),
		})
	}
	text, err := tfmodules.Render(root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "cloud-init"), 0o700); err != nil {
		return err
	}
	if err := r.writeUserData(ws.Servers, dir); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "main.tf"), text)
}

// Rest renders a workspace into the stack's folder, if it has one, and removes
// a saved plan that is not to be applied: it holds secrets.
func (r *Runner) Rest(ws state.Workspace) error {
	dir, err := r.stack(ws.Stack.Name)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	module, err := r.module(ws.Stack.Module)
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, planFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := r.render(ws, module, dir); err != nil || len(ws.Servers) > 0 {
		return err
	}
	return r.leftBehind(ws.Stack.Name, dir)
}

// writeUserData writes the user data of servers that are yet to be born; from
// then on a machine keeps what it was born with. What belongs to no server any
// more is removed.
func (r *Runner) writeUserData(servers []state.Server, dir string) error {
	wanted := map[string]bool{}
	for _, s := range servers {
		path := filepath.Join(dir, filepath.FromSlash(tfmodules.CloudInit(s.Name)))
		wanted[filepath.Base(path)] = true
		if _, err := os.Stat(path); err == nil && s.Phase != state.Pending {
			continue
		}
		content, err := r.UserData(s)
		if err != nil {
			return fmt.Errorf("user data of %s: %w", s.Name, err)
		}
		if err := writeFile(path, content); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "cloud-init"))
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !wanted[e.Name()] && strings.HasSuffix(e.Name(), ".yaml") {
			errs = append(errs, os.Remove(filepath.Join(dir, "cloud-init", e.Name())))
		}
	}
	return errors.Join(errs...)
}
