package terraform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hangar/state"
	"hangar/tfmodules"
)

// damaged is a stack with two recorded versions of its state: in the first it
// had agent-a and agent-b, in the second agent-b alone.
type damaged struct {
	*Runner
	both, one state.Workspace
	v1, v2    *state.StateVersion
}

func newDamaged(t *testing.T) damaged {
	t.Helper()
	g := newRig(t)
	d := damaged{Runner: g.Runner, both: g.workspace("s1", "agent-a", "agent-b"), one: g.workspace("s1", "agent-b")}
	for _, step := range []struct {
		ws      state.Workspace
		version **state.StateVersion
	}{{d.both, &d.v1}, {d.one, &d.v2}} {
		g.apply(t, step.ws, 2)
		var err error
		if *step.version, _, err = g.Read(t.Context(), step.ws.Stack); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// aside is the same stack in a data folder of its own.
func (d damaged) aside(t *testing.T) damaged {
	t.Helper()
	runner, err := d.Scratch(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d.Runner = runner
	return d
}

func (d damaged) folder() string { return filepath.Join(d.Dir, "stacks", "s1") }

// set makes the stack's folder hold these files and no others; empty: there is
// none of that name.
func (d damaged) set(t *testing.T, content, errored string) {
	t.Helper()
	if err := os.RemoveAll(d.folder()); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(d.folder(), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{stateFile: content, erroredFile: errored} {
		if text != "" {
			put(t, filepath.Join(d.folder(), name), strings.TrimPrefix(text, "empty"))
			if err := os.Chmod(filepath.Join(d.folder(), name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRepair(t *testing.T) {
	d := newDamaged(t)
	first, second := string(d.v1.Bytes), string(d.v2.Bytes)
	torn := second[:len(second)/2]
	foreign := strings.Replace(second, d.v2.Lineage, "another", 1)
	twin := regexp.MustCompile(`"serial": ?\d+`).ReplaceAllString(first, fmt.Sprintf(`"serial": %d`, d.v2.Serial))
	if foreign == second || twin == first {
		t.Fatal("the states do not look as expected")
	}
	for _, tt := range []struct {
		name           string
		state, errored string // files; empty: none
		newest         *state.StateVersion
		why, done      string   // parts of what is told; empty: nothing is done
		want           string   // the state afterwards, its content or a part
		kept           []string // files beside it
	}{
		{"whole", second, "", d.v2, "", "", second, nil},
		{"newer than recorded", second, "", d.v1, "", "", second, nil},
		{"nothing at all", "", "", nil, "", "", "", nil},
		{"torn, and nothing recorded", torn, "", nil, "the state was torn", "it begins anew", "", []string{"terraform.tfstate.replaced-1"}},

		{"missing", "", "", d.v2, "the state was missing", "replaced by what was recorded with serial", second, nil},
		{"empty", "empty", "", d.v2, "the state was empty", "kept as terraform.tfstate.replaced-1", second, []string{"terraform.tfstate.replaced-1"}},
		{"torn", torn, "", d.v2, "the state was torn", "kept as terraform.tfstate.replaced-1", second, []string{"terraform.tfstate.replaced-1"}},
		{"older", first, "", d.v2, "was of serial", "kept as terraform.tfstate.replaced-1", second, []string{"terraform.tfstate.replaced-1"}},
		{"of another lineage", foreign, "", d.v2, "was of lineage another", "kept as terraform.tfstate.replaced-1", second, []string{"terraform.tfstate.replaced-1"}},

		{"errored", first, second, d.v1, "terraform left errored.tfstate", "it was pushed", second, []string{"errored.tfstate.pushed-1"}},
		{"errored, and nothing else", "", second, nil, "terraform left errored.tfstate", "it was pushed", second, []string{"errored.tfstate.pushed-1"}},
		{"errored, nothing recorded, the state empty", "empty", second, nil, "terraform left errored.tfstate", "it was pushed", second, []string{"errored.tfstate.pushed-1"}},
		{"errored, nothing recorded, the state torn", torn, second, nil, "terraform left errored.tfstate; the state was torn", "it was pushed", second, []string{"errored.tfstate.pushed-1", "terraform.tfstate.replaced-1"}},
		{"errored, the state torn", torn, second, d.v1, "terraform left errored.tfstate; the state was torn", "it was pushed", second, []string{"errored.tfstate.pushed-1", "terraform.tfstate.replaced-1"}},
		{"errored, the state of another lineage", foreign, second, d.v1, "was of lineage another", "it was pushed", second, []string{"errored.tfstate.pushed-1", "terraform.tfstate.replaced-1"}},
		{"errored, of the state's serial", second, twin, d.v2, "terraform left errored.tfstate", "it was pushed", twin, []string{"errored.tfstate.pushed-1"}},
		{"errored, and the same", second, second, d.v2, "terraform left errored.tfstate", "what is already there", second, []string{"errored.tfstate.pushed-1"}},
		{"errored long ago", second, first, d.v1, "terraform left errored.tfstate", "being older than", second, []string{"errored.tfstate.refused-1"}},
		{"errored before what was recorded", "", first, d.v2, "the state was missing", "being older than", second, []string{"errored.tfstate.refused-1"}},
		{"errored, but not of this stack", second, foreign, d.v2, "terraform left errored.tfstate", "being of lineage another", second, []string{"errored.tfstate.refused-1"}},
		{"errored and torn", second, torn, d.v2, "terraform left errored.tfstate", "it was not pushed: the Terraform state is incomplete", second, []string{"errored.tfstate.refused-1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := d.aside(t)
			d.set(t, tt.state, tt.errored)
			told := tt.newest // as the records list it, without its bytes
			if told != nil {
				told = &state.StateVersion{Stack: told.Stack, Serial: told.Serial, Lineage: told.Lineage}
			}
			why, err := d.NeedsRepair(t.Context(), d.one.Stack, told)
			if err != nil || !strings.Contains(why, tt.why) || (why == "") != (tt.why == "") {
				t.Errorf("needs repair: %q, %v; want %q", why, err, tt.why)
			}
			done, err := d.Repair(t.Context(), d.one.Stack, tt.newest)
			if err != nil || !strings.Contains(done, tt.done) || (done == "") != (tt.done == "") {
				t.Errorf("done: %q, %v; want %q", done, err, tt.done)
			}
			if why, err := d.NeedsRepair(t.Context(), d.one.Stack, tt.newest); why != "" || err != nil {
				t.Errorf("afterwards it needs repair: %q, %v", why, err)
			}
			d.check(t, tt.want, tt.kept)
			if tt.done != "" && tt.want != "" {
				d.plans(t, tt.want)
			}
		})
	}
}

// check looks at the files in the stack's folder.
func (d damaged) check(t *testing.T, want string, kept []string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(d.folder(), stateFile))
	if string(got) != want && !pushed(string(got), want) {
		t.Errorf("the state is not as wanted (%v), but:\n%.300s", err, got)
	}
	entries, err := os.ReadDir(d.folder())
	if err != nil {
		t.Fatal(err)
	}
	var beside []string
	for _, e := range entries {
		if strings.Contains(e.Name(), "replaced") || strings.HasPrefix(e.Name(), erroredFile) {
			beside = append(beside, e.Name())
			if info, err := e.Info(); err != nil || strings.HasSuffix(e.Name(), "-1") && info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
		}
	}
	if strings.Join(beside, " ") != strings.Join(kept, " ") {
		t.Errorf("beside the state: %v, want %v", beside, kept)
	}
}

// pushed says whether got is what terraform makes of want when that is pushed:
// the same, laid out anew and perhaps under a later serial.
func pushed(got, want string) bool {
	serial, lineage, err := tfmodules.ParseState([]byte(got))
	of, its, bad := tfmodules.ParseState([]byte(want))
	return err == nil && bad == nil && lineage == its && serial >= of &&
		strings.Contains(got, "agent-a") == strings.Contains(want, "agent-a")
}

// plans sees whether terraform finds in the state what it should.
func (d damaged) plans(t *testing.T, want string) {
	t.Helper()
	ws := d.one
	if strings.Contains(want, "agent-a") {
		ws = d.both
	}
	plan, err := d.Plan(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	for address, action := range actions(plan) {
		if action != "no-op" {
			t.Errorf("the plan for %s: %s", address, action)
		}
	}
	if len(plan.Changes) != len(ws.Servers) {
		t.Errorf("the plan tells of %d servers, want %d", len(plan.Changes), len(ws.Servers))
	}
}

func TestRepairKeepsAllThatWasReplaced(t *testing.T) {
	d := newDamaged(t)
	older := string(d.v1.Bytes)
	foreign := strings.Replace(older, d.v1.Lineage, "another", 1)
	for _, content := range []string{older, foreign} {
		put(t, filepath.Join(d.folder(), stateFile), content)
		if _, err := d.Repair(t.Context(), d.one.Stack, d.v2); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"terraform.tfstate.replaced-1": older, "terraform.tfstate.replaced-2": foreign} {
		if got, err := os.ReadFile(filepath.Join(d.folder(), name)); err != nil || string(got) != want {
			t.Errorf("%s is not what was replaced (%v):\n%.300s", name, err, got)
		}
	}
}

func TestRepairFails(t *testing.T) {
	d := newDamaged(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.set(t, "{", "")
	release := hold(t, filepath.Join(d.folder(), stateFile))
	if _, err := d.Repair(ctx, d.one.Stack, d.v2); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "repair the state of stack s1: ") {
		t.Errorf("called off: %v", err)
	}
	release()
	d.set(t, string(d.v1.Bytes), string(d.v2.Bytes))
	d.commands.Clear()
	d.Binary.Path = filepath.Join(t.TempDir(), "nothing")
	done, err := d.Repair(t.Context(), d.one.Stack, d.v1)
	if done != "" || err == nil {
		t.Errorf("without terraform: %q, %v", done, err)
	}
	d.check(t, string(d.v1.Bytes), []string{erroredFile})
}
