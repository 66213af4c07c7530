package templates

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the golden files")

func plainAgent() Agent {
	return Agent{
		Name: "agent-aaaaaaaa", Image: "drone/drone-runner-docker:1", Proto: "https", Host: "drone.example.com",
		Secret: "correct-horse", Capacity: 2, OS: "linux", Arch: "amd64",
	}
}

func oddAgent() Agent {
	a := plainAgent()
	a.Secret = `q"u'o: #t{e}\n %{x} ${y} é	tab`
	a.Variant, a.Kernel = "v8", "5.15"
	a.Labels = map[string]string{"size": "large", "arch": "x:y", "on": "true"}
	a.Environ = []string{"EMPTY=", "WITH=equals=signs", "TRAILING=space ", "CJK=日本語", "URL=https://u:p@h/?a=b&c=<d>"}
	a.Volumes = []string{"/srv/cache:/cache:ro", "/odd 'path'/\"x\":/y"}
	return a
}

// document is what is read of the cloud-config.
type document struct {
	PackageUpdate bool     `yaml:"package_update"`
	Packages      []string `yaml:"packages"`
	WriteFiles    []struct {
		Path, Owner, Permissions, Content string
	} `yaml:"write_files"`
	RunCmd [][]string `yaml:"runcmd"`
}

func parse(t *testing.T, text []byte) document {
	t.Helper()
	var d document
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&d); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return d
}

func TestCloudInitGolden(t *testing.T) {
	for name, agent := range map[string]Agent{"plain": plainAgent(), "odd": oddAgent()} {
		t.Run(name, func(t *testing.T) {
			got, err := CloudInit(agent)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".yaml.golden")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestCloudInitHoldsEverything(t *testing.T) {
	agent := oddAgent()
	text, err := CloudInit(agent)
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, text)
	if len(d.WriteFiles) != 1 || d.WriteFiles[0].Permissions != "0600" || d.WriteFiles[0].Owner != "root:root" {
		t.Fatalf("files: %+v", d.WriteFiles)
	}
	env := strings.Split(strings.TrimSuffix(d.WriteFiles[0].Content, "\n"), "\n")
	want := append([]string{
		"DRONE_RPC_PROTO=https", "DRONE_RPC_HOST=drone.example.com", "DRONE_RPC_SECRET=" + agent.Secret,
		"DRONE_RUNNER_NAME=agent-aaaaaaaa", "DRONE_RUNNER_CAPACITY=2", "DRONE_RUNNER_LABELS=arch:x:y,on:true,size:large",
		"DRONE_PLATFORM_OS=linux", "DRONE_PLATFORM_ARCH=amd64", "DRONE_PLATFORM_VARIANT=v8", "DRONE_PLATFORM_KERNEL=5.15",
	}, agent.Environ...)
	if !slices.Equal(env, want) {
		t.Errorf("environment:\n%q\nwant:\n%q", env, want)
	}
	run := d.RunCmd[len(d.RunCmd)-1]
	wantRun := []string{
		"docker", "run", "-d", "--name", "agent", "--restart=always", "--env-file", d.WriteFiles[0].Path,
		"-v", "/var/run/docker.sock:/var/run/docker.sock",
		"-v", agent.Volumes[0], "-v", agent.Volumes[1], agent.Image,
	}
	if !slices.Equal(run, wantRun) {
		t.Errorf("command:\n%q\nwant:\n%q", run, wantRun)
	}
}

func TestSecretIsInOnePlace(t *testing.T) {
	text, err := CloudInit(plainAgent())
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("correct-horse")); n != 1 {
		t.Errorf("the secret is there %d times", n)
	}
	d := parse(t, text)
	if !strings.Contains(d.WriteFiles[0].Content, "DRONE_RPC_SECRET=correct-horse\n") {
		t.Errorf("the secret is not in the file: %q", d.WriteFiles[0].Content)
	}
	if bytes.Contains(text, []byte("2375")) || bytes.Contains(text, []byte("2376")) || bytes.Contains(text, []byte("tcp://")) {
		t.Error("docker listens on a port")
	}
}

func TestCloudInitRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Agent)
		want   string
	}{
		{"a line break in a secret", func(a *Agent) { a.Secret = "one\ntop-secret" }, "DRONE_RPC_SECRET: its value has a line break"},
		{"a carriage return", func(a *Agent) { a.Environ = []string{"A=x\r"} }, "A: its value has a line break"},
		{"a line break of unicode", func(a *Agent) { a.Environ = []string{"A=x\u2028y"} }, "A: its value has a line break"},
		{"a control character", func(a *Agent) { a.Environ = []string{"A=\x07"} }, "U+0007"},
		{"no UTF-8", func(a *Agent) { a.Environ = []string{"A=\xff"} }, "not UTF-8"},
		{"no KEY=VALUE", func(a *Agent) { a.Environ = []string{"top-secret"} }, "is not KEY=VALUE"},
		{"a name with a space", func(a *Agent) { a.Environ = []string{"A B=x"} }, `"A B"`},
		{"a comment", func(a *Agent) { a.Environ = []string{"#A=x"} }, `"#A"`},
		{"a variable of hangar's", func(a *Agent) { a.Environ = []string{"DRONE_RUNNER_NAME=x"} }, "DRONE_RUNNER_NAME is hangar's to set"},
		{"a comma in a label", func(a *Agent) { a.Labels = map[string]string{"a": "b,c"} }, `label "a"`},
		{"a colon in a label's name", func(a *Agent) { a.Labels = map[string]string{"a:b": "c"} }, `label "a:b"`},
		{"a line break in a volume", func(a *Agent) { a.Volumes = []string{"/a:/b\n"} }, "argument"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := plainAgent()
			tt.change(&a)
			_, err := CloudInit(a)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "top-secret") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestCloudInitSchema(t *testing.T) {
	program, err := exec.LookPath("cloud-init")
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("HANGAR_REQUIRE"), ","), "cloud-init") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for name, agent := range map[string]Agent{"plain": plainAgent(), "odd": oddAgent()} {
		t.Run(name, func(t *testing.T) {
			text, err := CloudInit(agent)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "user-data.yaml")
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(program, "schema", "--config-file", path).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
