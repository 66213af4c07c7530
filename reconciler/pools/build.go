package pools

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hangar/tfmodules"
)

// builder makes a set, and loads each module once.
type builder struct {
	env     Environment
	folder  string // from which relative folders of modules are counted
	set     Set
	shipped map[string]bool   // names of modules that come with hangar
	folders map[string]string // of the others, by name
	loaded  map[string]tfmodules.Module
	failed  map[string]error // by reference
}

func newBuilder(e Environment, folder string) *builder {
	b := &builder{
		env: e, folder: folder, set: Set{Env: map[string][]string{}},
		shipped: map[string]bool{}, folders: map[string]string{}, loaded: map[string]tfmodules.Module{}, failed: map[string]error{},
	}
	for _, name := range tfmodules.Names() {
		b.shipped[name] = true
	}
	return b
}

// module loads a module: one that comes with hangar by its name, another one
// from its folder, which begins with a dot or a slash.
func (b *builder) module(ref string) (tfmodules.Module, error) {
	if m, ok := b.loaded[ref]; ok {
		return m, nil
	}
	if err, ok := b.failed[ref]; ok {
		return tfmodules.Module{}, err
	}
	m, err := b.load(ref)
	if err == nil && b.env.Usable != nil {
		err = b.env.Usable(m.Name)
	}
	if err != nil {
		b.failed[ref] = err
		return tfmodules.Module{}, err
	}
	b.loaded[ref] = m
	if _, known := b.set.Env[m.Name]; !known { // else by another reference
		b.set.Modules = append(b.set.Modules, m)
		b.set.Env[m.Name] = slices.Clone(b.env.Env)
	}
	return m, nil
}

func (b *builder) load(ref string) (tfmodules.Module, error) {
	if ref == "" {
		return tfmodules.Module{}, errors.New("module: credentials of several providers are set, so that the pool or its candidate must say which module makes its servers")
	}
	if !strings.HasPrefix(ref, ".") && !filepath.IsAbs(ref) {
		m, err := tfmodules.Shipped(ref)
		if err != nil {
			return m, fmt.Errorf("%w; the folder of one of your own begins with ./ or /", err)
		}
		return m, nil
	}
	folder := ref
	if !filepath.IsAbs(folder) {
		folder = filepath.Join(b.folder, folder)
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return tfmodules.Module{}, err
	}
	name := filepath.Base(folder)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return tfmodules.Module{}, fmt.Errorf("module %s: there is no folder %s", ref, folder)
	}
	if other, ok := b.folders[name]; ok && other != folder || b.shipped[name] {
		return tfmodules.Module{}, fmt.Errorf("module %s: another module is called %s as well; rename its folder", ref, name)
	}
	b.folders[name] = folder
	return tfmodules.Load(os.DirFS(folder), name)
}

// pass has a module's terraform get variables.
func (b *builder) pass(module string, names []string) error {
	var errs []error
	for _, name := range names {
		if b.env.Has != nil {
			if err := b.env.Has(name); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		if !slices.Contains(b.set.Env[module], name) {
			b.set.Env[module] = append(b.set.Env[module], name)
		}
	}
	return errors.Join(errs...)
}
