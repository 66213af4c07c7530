package tfmodules_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hangar/reconciler/simulator"
	"hangar/reconciler/terraform/terraformtest"
	"hangar/tfmodules"
)

// TestMain lets the test serve as the provider whose schema it validates
// against.
func TestMain(m *testing.M) {
	if simulator.IsProvider(os.Args[0]) {
		if err := simulator.ServeProvider(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	terraformtest.OnPath()
	os.Exit(m.Run())
}

var userDataFile = regexp.MustCompile(`\$\{path\.module\}/(cloud-init/[a-z0-9-]+\.yaml)`)

func TestGoldenRootsAreValid(t *testing.T) {
	program, err := exec.LookPath("terraform")
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("HANGAR_REQUIRE"), ","), "terraform") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := simulator.Mirror(filepath.Join(dir, "mirror"), simulator.Waits{}); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", filepath.Join(dir, "mirror"))
	write(t, filepath.Join(dir, "terraform.rc"), []byte(config))
	module, err := tfmodules.Shipped("packet")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := module.Copy(filepath.Join(dir, "modules")); err != nil {
		t.Fatal(err)
	}
	goldens, err := filepath.Glob("testdata/*.tf.golden")
	if err != nil || len(goldens) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, golden := range goldens {
		name, _, _ := strings.Cut(filepath.Base(golden), ".")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			text = bytes.ReplaceAll(text, []byte("packet-00000000"), []byte(module.Folder()))
			stack := filepath.Join(dir, "stacks", name)
			write(t, filepath.Join(stack, "main.tf"), text)
			for _, file := range userDataFile.FindAllSubmatch(text, -1) {
				write(t, filepath.Join(stack, string(file[1])), []byte("#cloud-config\n"))
			}
			for _, args := range [][]string{{"init"}, {"validate"}} {
				cmd := exec.Command(program, append(args, "-no-color")...)
				cmd.Dir = stack
				cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "terraform.rc"), "CHECKPOINT_DISABLE=1")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("terraform %s: %v\n%s", args[0], err, out)
				}
			}
		})
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
