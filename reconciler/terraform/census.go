package terraform

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-exec/tfexec"

	"hangar/state"
	"hangar/tfmodules"
)

// censusWaitDelay is how long terraform may take to end when a census is
// called off: nothing is lost with it.
const censusWaitDelay = 5 * time.Second

// Census asks the provider, through the census of a module's copy, which
// devices there are. It is a plan that is not even saved: so it can change
// nothing, whatever the module does, and nothing of what the provider tells,
// root passwords among it, comes to the disk. A failed terraform is an *Error;
// a module without census one with the code state.NotFound. Many may run at
// once, also while stacks are planned and applied.
func (r *Runner) Census(ctx context.Context, q state.Question) ([]state.Found, error) {
	found, err := r.census(ctx, q)
	if err != nil {
		if _, ok := errors.AsType[*Error](err); ok {
			return nil, err
		}
		return nil, fmt.Errorf("census %s: %w", q.Tag, err)
	}
	return found, nil
}

// Scope names what a census of a module's copy with these settings looks
// through.
func (r *Runner) Scope(module string, settings map[string]any) (string, error) {
	m, err := r.askable(module)
	if err != nil {
		return "", err
	}
	return m.Scope(settings)
}

func (r *Runner) census(ctx context.Context, q state.Question) ([]state.Found, error) {
	module, err := r.askable(q.Module)
	if err != nil {
		return nil, err
	}
	if module.Census == nil {
		return nil, state.Errorf(state.NotFound, "module %s has no census: its machines cannot be looked for", module.Name)
	}
	root := tfmodules.CensusRoot{Module: module, Settings: q.Settings, Provider: r.Provider[module.Name], Tag: q.Tag, Known: q.Known}
	if !module.Census.ByName() {
		return r.look(ctx, root)
	}
	// One after the other: no provider that cannot list is asked much.
	found := []state.Found{}
	for _, root.Name = range q.Names {
		one, err := r.look(ctx, root)
		if err != nil {
			return nil, err
		}
		found = append(found, one...)
	}
	return found, nil
}

// look has a rendered census planned, and reads what it found.
func (r *Runner) look(ctx context.Context, root tfmodules.CensusRoot) ([]state.Found, error) {
	module := root.Module
	text, err := tfmodules.RenderCensus(root)
	if err != nil {
		return nil, err
	}
	if err := r.writeConfig(); err != nil {
		return nil, err
	}
	folder := r.censuses.take(module.Folder())
	defer r.censuses.leave(folder)
	p := place{
		name: "census " + cmp.Or(root.Name, root.Tag), dir: filepath.Join(r.Dir, "census", folder),
		module: module, providers: module.Census.Providers,
		prepared: filepath.Join(r.prepared(), module.Folder(), module.Census.Folder),
	}
	if err := p.clear(); err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(p.dir, "main.tf"), text); err != nil {
		return nil, err
	}
	tf, err := r.command(p.dir, module.Name)
	if err != nil {
		return nil, err
	}
	if err := tf.SetWaitDelay(censusWaitDelay); err != nil {
		return nil, err
	}
	if err := r.initialise(ctx, tf, p); err != nil {
		return nil, err
	}
	found, err := r.runCensus(ctx, tf, p.name)
	if failed, ok := errors.AsType[*Error](err); ok && module.Census.ByName() && failed.all(module.Census.Absent) {
		return nil, nil
	}
	if err != nil {
		if ctx.Err() != nil { // whatever terraform and its provider make of it
			return nil, ctx.Err()
		}
		p.distrust()
		return nil, err
	}
	return found, nil
}

// clear makes the folder, and takes away what init and hangar did not put
// there: with a state of its own, terraform would tell only what is new.
func (p place) clear() error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	keep := []string{"main.tf", ".terraform", lockFile}
	for _, e := range entries {
		if !slices.Contains(keep, e.Name()) {
			if err := os.RemoveAll(filepath.Join(p.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Runner) runCensus(ctx context.Context, tf *tfexec.Terraform, op string) ([]state.Found, error) {
	var stdout, stderr bytes.Buffer
	tf.SetStdout(&stdout)
	tf.SetStderr(&stderr)
	// There is no state to be locked or refreshed.
	err := r.process("census", func() error {
		_, err := tf.Plan(ctx, tfexec.Refresh(false), tfexec.Lock(false))
		return err
	})
	if err != nil {
		return nil, explained(r.failure(op, err, stderr.String()))
	}
	return readFound(stdout.Bytes())
}

// explained replaces what terraform says of a provider that crashed. The
// equinix one does whenever it gets no list, and hides why.
func explained(e *Error) *Error {
	if strings.Contains(e.Log, "plugin crashed!") {
		e.Diagnostics = []state.Diagnostic{{
			Severity: "error", Summary: "the provider crashed while it listed the devices",
			Detail: "It may do so when the API refuses the list: is the key valid, and has it a right to the project?",
		}}
	}
	return e
}

// What a rendered census leaves in what terraform plan prints: the output, and
// where its module would make something, how much.
var (
	foundLine = regexp.MustCompile(`(?m)^ +\+ found += (.*)$`)
	planLine  = regexp.MustCompile(`(?m)^Plan: .*$`)
)

// readFound reads the devices from what terraform plan prints.
func readFound(text []byte) ([]state.Found, error) {
	if line := planLine.Find(text); line != nil {
		return nil, fmt.Errorf("its module is to look only, and would change something: %s", line)
	}
	match := foundLine.FindSubmatch(text)
	if match == nil {
		return nil, errors.New("terraform plan does not tell its output found")
	}
	quoted, ok := bytes.CutPrefix(match[1], []byte(`"`))
	if !ok { // (sensitive value), (known after apply)
		return nil, fmt.Errorf("its output found cannot be read: %s", match[1])
	}
	return decodeFound(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(bytes.TrimSuffix(quoted, []byte(`"`)))))
}

// decodeFound reads the devices one by one, so that what is in memory is
// little more than they are.
func decodeFound(from io.Reader) ([]state.Found, error) {
	dec := json.NewDecoder(from)
	if token, err := dec.Token(); err != nil || token != json.Delim('[') {
		return nil, errors.Join(errors.New("its output found is not a list"), err)
	}
	found := []state.Found{}
	for dec.More() {
		var f state.Found
		if err := dec.Decode(&f); err != nil {
			return nil, fmt.Errorf("its output found, item %d: %w", len(found), err)
		}
		if f.ID == "" {
			return nil, fmt.Errorf("its output found, item %d: there is no id", len(found))
		}
		if !slices.Contains(foundStates, f.State) {
			return nil, fmt.Errorf("its output found, item %d: state %q is none of %v", len(found), f.State, foundStates)
		}
		found = append(found, f)
	}
	_, err := dec.Token() // the end of the list
	return found, err
}

var foundStates = []state.FoundState{state.FoundBooting, state.FoundActive, state.FoundFailed, state.FoundLeaving, state.FoundOther}
