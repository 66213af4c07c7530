package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// workspace is a root module of a test, with the stand-in provider in a
// mirror of its own, and a world behind it.
type workspace struct {
	t     *testing.T
	world *World
	dir   string
	env   []string
	looks <-chan string // ids of devices that the API is asked for
}

// newWorkspace copies a root module of testdata and initialises it.
func newWorkspace(t *testing.T, w *World, module string, variables map[string]any) *workspace {
	t.Helper()
	binary, err := exec.LookPath("terraform")
	required(t, "terraform", err)
	mirror, dir := t.TempDir(), t.TempDir()
	if err := Mirror(mirror, quickWaits); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", module))); err != nil {
		t.Fatal(err)
	}
	cli := filepath.Join(t.TempDir(), "terraform.tfrc")
	write(t, cli, fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror))
	url, looks := serveMetal(t, w)
	ws := &workspace{t: t, world: w, dir: dir, looks: looks, env: []string{
		"PATH=" + filepath.Dir(binary), "HOME=" + dir, "TF_CLI_CONFIG_FILE=" + cli, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1",
		"GORACE=atexit_sleep_ms=0", // under -race every provider would linger for a second
		"METAL_AUTH_TOKEN=" + w.Config().APIKey, "EQUINIX_API_ENDPOINT=" + url,
	}}
	ws.set(variables)
	ws.must("init", "-input=false")
	return ws
}

// set writes the root module's variables.
func (ws *workspace) set(variables map[string]any) {
	ws.t.Helper()
	all := map[string]any{"project_id": ws.world.Config().ProjectID}
	for name, value := range variables {
		all[name] = value
	}
	data, err := json.Marshal(all)
	if err != nil {
		ws.t.Fatal(err)
	}
	write(ws.t, filepath.Join(ws.dir, "terraform.tfvars.json"), string(data))
}

func (ws *workspace) command(args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command("terraform", append(args, "-no-color")...)
	output := &bytes.Buffer{}
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = ws.dir, ws.env, output, output
	return cmd, output
}

// run runs terraform and returns what it printed.
func (ws *workspace) run(args ...string) (string, error) {
	cmd, output := ws.command(args...)
	err := cmd.Run()
	return output.String(), err
}

// must runs terraform and fails the test if it fails.
func (ws *workspace) must(args ...string) string {
	ws.t.Helper()
	output, err := ws.run(args...)
	if err != nil {
		ws.t.Fatalf("terraform %v: %v\n%s", args, err, output)
	}
	return output
}

// mustFail runs terraform and fails the test unless it fails with a text.
func (ws *workspace) mustFail(text string, args ...string) {
	ws.t.Helper()
	output, err := ws.run(args...)
	if err == nil || !strings.Contains(output, text) {
		ws.t.Fatalf("terraform %v: error %v, want %q in:\n%s", args, err, text, output)
	}
}

// mustSay runs terraform and fails the test unless it succeeds with a text.
func (ws *workspace) mustSay(text string, args ...string) {
	ws.t.Helper()
	if output := ws.must(args...); !strings.Contains(output, text) {
		ws.t.Fatalf("terraform %v: want %q in:\n%s", args, text, output)
	}
}

// resources lists the addresses in the state.
func (ws *workspace) resources() []string {
	ws.t.Helper()
	return strings.Fields(ws.must("state", "list"))
}

// plan plans into a file and returns the plan's JSON.
func (ws *workspace) plan(args ...string) map[string]any {
	ws.t.Helper()
	ws.must(append([]string{"plan", "-input=false", "-out=plan.tfplan"}, args...)...)
	var plan map[string]any
	if err := json.Unmarshal([]byte(ws.must("show", "-json", "plan.tfplan")), &plan); err != nil {
		ws.t.Fatal(err)
	}
	return plan
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// readJSON reads a recorded document.
func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}
