package terraform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/terraform-exec/tfexec"

	"hangar/state"
	"hangar/tfmodules"
)

// Runner plans, applies and reads stacks in a data folder. Many stacks may be
// worked on at once; one stack only by one caller at a time.
type Runner struct {
	Dir    string // the data folder, absolute; stacks/, modules/ and terraform/ are in it
	Binary Binary
	Mirror string // DRONE_TERRAFORM_MIRROR, a folder: the only source of providers; empty: their registries

	Env map[string]string // terraform's environment
	// Keys returns what else the terraform of a module gets, by the module's name,
	// as it is now: the keys of its provider. They are secrets. Nil: nothing.
	Keys     func() map[string]map[string]string
	Provider map[string]map[string]any // settings of the provider block, by module name; nothing secret

	Instance  string              // whose servers they are; a tag
	ExtraTags map[string][]string // more tags for every server, by module name
	// UserData makes the user data of a server that is about to be created.
	UserData func(state.Server) ([]byte, error)

	Secrets     []string      // masked in all that is returned
	LockTimeout time.Duration // how long to wait for a person's terraform in the same stack

	// Ran is called when a terraform has ended: what it did (init, plan, show,
	// apply, census, push) and how long it took. Nil: nobody asks.
	Ran func(step string, took time.Duration)

	processes atomic.Int64 // under way

	newest   sync.Map      // folder of the copy that was installed last, by module name
	commands sync.Map      // *tfexec.Terraform by folder: each remembers its version
	init     chan struct{} // one init at a time: a provider cache cannot bear more
	censuses censusFolders
}

// New returns a runner for a data folder, with a lock timeout of five minutes.
func New(dir string, binary Binary) (*Runner, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return &Runner{Dir: dir, Binary: binary, LockTimeout: 5 * time.Minute, init: make(chan struct{}, 1)}, nil
}

// Install puts copies of modules, named after their content, into the data
// folder. Stacks refer to them by folder.
func (r *Runner) Install(modules ...tfmodules.Module) error {
	for _, m := range modules {
		if _, err := m.Copy(r.modules()); err != nil {
			return err
		}
		r.newest.Store(m.Name, m.Folder())
	}
	return nil
}

// KeepModules removes the module copies that are not among folders, that were
// not installed last and that no census is using, and what was made with them.
func (r *Runner) KeepModules(folders ...string) error {
	folders = slices.Concat(folders, r.censuses.modules())
	r.newest.Range(func(_, folder any) bool {
		folders = append(folders, folder.(string))
		return true
	})
	errs := []error{r.keepCensuses(folders)}
	for _, dir := range []string{r.modules(), r.prepared()} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			if !slices.Contains(folders, e.Name()) {
				errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove unused modules: %w", err)
	}
	return nil
}

// Stacks lists the stacks that have a folder.
func (r *Runner) Stacks() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(r.Dir, "stacks"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// Remove deletes a stack's folder, its state included. A state that still holds
// something other than servers is kept: nothing else knows of it.
func (r *Runner) Remove(stack string) error {
	dir, err := r.stack(stack)
	if err != nil {
		return err
	}
	if err := r.leftBehind(stack, dir); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	r.commands.Delete(dir)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove stack %s: %w", stack, err)
	}
	return nil
}

// leftBehind is an error where the state of a stack without servers holds
// something all the same.
func (r *Runner) leftBehind(stack, dir string) error {
	left := r.companions(dir)
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("stack %s still holds %s, left by servers that were never made: run terraform destroy in %s", stack, strings.Join(left, ", "), dir)
}

// sourced finds the module's copy in a rendered root module.
var sourced = regexp.MustCompile(`source = "\.\./\.\./modules/([^"/]+)"`)

// companions lists what the state in a stack's folder holds beside servers. What
// cannot be read holds nothing that is known.
func (r *Runner) companions(dir string) []string {
	root, err := os.ReadFile(filepath.Join(dir, "main.tf"))
	if err != nil {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(dir, stateFile))
	source := sourced.FindSubmatch(root)
	if err != nil || source == nil {
		return nil
	}
	module, err := r.module(string(source[1]))
	if err != nil {
		return nil
	}
	left, err := module.Companions(text)
	if err != nil {
		return nil
	}
	return left
}

// Processes is how many terraforms are under way.
func (r *Runner) Processes() int { return int(r.processes.Load()) }

// process starts a terraform, and waits for its end.
func (r *Runner) process(step string, terraform func() error) error {
	r.processes.Add(1)
	began := time.Now()
	err := terraform()
	r.processes.Add(-1)
	if r.Ran != nil {
		r.Ran(step, time.Since(began))
	}
	return err
}

func (r *Runner) modules() string  { return filepath.Join(r.Dir, "modules") }
func (r *Runner) own() string      { return filepath.Join(r.Dir, "terraform") }
func (r *Runner) prepared() string { return filepath.Join(r.own(), "prepared") }

// stack is a stack's folder. A name that would lead elsewhere is refused.
func (r *Runner) stack(name string) (string, error) {
	if name == "" || strings.HasPrefix(name, ".") || name != filepath.Base(name) {
		return "", fmt.Errorf("stack %q: not a name", name)
	}
	return filepath.Join(r.Dir, "stacks", name), nil
}

func (r *Runner) module(folder string) (tfmodules.Module, error) {
	return tfmodules.Open(filepath.Join(r.modules(), folder))
}

// askable is the module by whose census the machines of a copy are looked for:
// its own or, when it was made before it had one, that of the newest copy.
func (r *Runner) askable(folder string) (tfmodules.Module, error) {
	m, err := r.module(folder)
	if err != nil || m.Census != nil {
		return m, err
	}
	newest, ok := r.newest.Load(m.Name)
	if !ok {
		return m, nil
	}
	if other, err := r.module(newest.(string)); err == nil && other.Census != nil {
		return other, nil
	}
	return m, nil
}

// command returns the terraform of a folder, with the keys of a module; it is
// not safe for concurrent use. It is kept, since each new one asks the binary for
// its version.
func (r *Runner) command(dir, module string) (*tfexec.Terraform, error) {
	kept, ok := r.commands.Load(dir)
	if !ok {
		tf, err := tfexec.NewTerraform(dir, r.Binary.Path)
		if err != nil {
			return nil, err
		}
		kept, _ = r.commands.LoadOrStore(dir, tf)
	}
	tf := kept.(*tfexec.Terraform)
	return tf, tf.SetEnv(r.environment(module))
}

func (r *Runner) keys() map[string]map[string]string {
	if r.Keys == nil {
		return nil
	}
	return r.Keys()
}
