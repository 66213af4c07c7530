package templates

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the golden files")

// need skips the test for want of a tool, or fails it when HANGAR_REQUIRE
// names the tool.
func need(t *testing.T, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		missing(t, tool, err.Error())
	}
	return path
}

func missing(t *testing.T, tool, why string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("HANGAR_REQUIRE"), ","), tool) {
		t.Fatalf("%s: %s", tool, why)
	}
	t.Skipf("%s: %s", tool, why)
}

// document is what is read of the cloud-config.
type document struct {
	PackageUpdate bool     `yaml:"package_update"`
	Packages      []string `yaml:"packages"`
	WriteFiles    []struct {
		Path, Owner, Permissions, Content string
	} `yaml:"write_files"`
	RunCmd [][]string `yaml:"runcmd"`

	DeleteKeys  bool              `yaml:"ssh_deletekeys"`
	KeyTypes    []string          `yaml:"ssh_genkeytypes"`
	Keys        map[string]string `yaml:"ssh_keys"`
	Password    *bool             `yaml:"ssh_pwauth"`
	DisableRoot *bool             `yaml:"disable_root"`
	Authorized  []string          `yaml:"ssh_authorized_keys"`
	Users       []any             `yaml:"users"`
}

// rendered is an agent's cloud-config, as text and read.
func rendered(t *testing.T, agent Agent) ([]byte, document) {
	t.Helper()
	text, err := CloudInit(agent)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&d); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return text, d
}

// file returns the content of one that is written, and its permissions.
func (d document) file(t *testing.T, path string) (content, permissions string) {
	t.Helper()
	for _, f := range d.WriteFiles {
		if f.Path == path {
			if f.Owner != "root:root" {
				t.Errorf("%s belongs to %s", path, f.Owner)
			}
			return f.Content, f.Permissions
		}
	}
	t.Fatalf("no file %s", path)
	return "", ""
}

func TestCloudInitGolden(t *testing.T) {
	for _, name := range []string{"plain", "odd", "everything", "everything-for-user"} {
		t.Run(name, func(t *testing.T) {
			got, _ := rendered(t, variants()[name])
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

func TestEnvironment(t *testing.T) {
	agent := variants()["odd-ssh-user"]
	_, d := rendered(t, agent)
	content, permissions := d.file(t, envFile)
	if permissions != "0600" {
		t.Errorf("permissions %s", permissions)
	}
	want := append([]string{
		"DRONE_RPC_PROTO=https", "DRONE_RPC_HOST=drone.example.com", "DRONE_RPC_SERVER=https://drone.example.com", "DRONE_RPC_SECRET=" + agent.Secret,
		"DRONE_RUNNER_NAME=agent-aaaaaaaa", "DRONE_RUNNER_CAPACITY=2", "DRONE_RUNNER_LABELS=arch:x:y,on:true,size:large",
		"DRONE_PLATFORM_OS=linux", "DRONE_PLATFORM_ARCH=amd64", "DRONE_PLATFORM_VARIANT=v8", "DRONE_PLATFORM_KERNEL=5.15",
		"DRONE_RUNNER_VOLUMES=/srv/cache:/cache,/a:/b", "DRONE_RUNNER_DEVICES=/dev/kvm:/dev/kvm",
		"DRONE_RUNNER_PRIVILEGED_IMAGES=plugins/docker,plugins/ecr", "DRONE_RUNNER_ENV_FILE=/etc/runner.env",
	}, agent.Environ...)
	if env := strings.Split(strings.TrimSuffix(content, "\n"), "\n"); !slices.Equal(env, want) {
		t.Errorf("environment:\n%q\nwant:\n%q", env, want)
	}
}

func TestSecretIsInOnePlace(t *testing.T) {
	for name, agent := range variants() {
		agent.Secret = "correct-horse"
		text, d := rendered(t, agent)
		if n := bytes.Count(text, []byte("correct-horse")); n != 1 {
			t.Errorf("%s: the secret is there %d times", name, n)
		}
		if content, _ := d.file(t, envFile); !strings.Contains(content, "DRONE_RPC_SECRET=correct-horse\n") {
			t.Errorf("%s: the secret is not in the file: %q", name, content)
		}
	}
}

// Docker is told of no address: not by a port, not by an option of the daemon,
// not by its configuration.
func TestDockerListensOnNoPort(t *testing.T) {
	opens := regexp.MustCompile(`\b237[56]\b|tcp://|dockerd|daemon\.json|DOCKER_OPTS|DOCKER_HOST|docker\.socket|(^|\s)(-H|--host)\b`)
	for name, agent := range variants() {
		text, _ := rendered(t, agent)
		for line := range strings.SplitSeq(string(text), "\n") {
			if opens.MatchString(line) {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
	for _, line := range []string{"-H tcp://0.0.0.0", "dockerd --host=fd://", "  - 2376:2376"} {
		if !opens.MatchString(line) {
			t.Errorf("%q would not be noticed", line)
		}
	}
}

func TestSSH(t *testing.T) {
	isFalse := func(b *bool) bool { return b != nil && !*b }
	_, none := rendered(t, plainAgent())
	if none.Keys != nil || none.Password != nil || none.DisableRoot != nil || none.Authorized != nil || none.Users != nil || none.KeyTypes != nil || none.DeleteKeys {
		t.Errorf("without SSH: %+v", none)
	}
	for _, name := range []string{"ssh", "ssh-user"} {
		_, d := rendered(t, variants()[name])
		if d.Keys["ed25519_private"] != testHostKey || d.Keys["ed25519_public"] != strings.TrimSpace(testHostKeyPublic) || len(d.Keys) != 2 {
			t.Errorf("%s: host keys %q", name, d.Keys)
		}
		if !d.DeleteKeys || !isFalse(d.Password) || !slices.Equal(d.KeyTypes, []string{"ed25519"}) {
			t.Errorf("%s: %+v", name, d)
		}
		sshd, _ := d.file(t, "/etc/ssh/sshd_config.d/10-hangar.conf")
		for _, want := range []string{"\nHostKey /etc/ssh/ssh_host_ed25519_key\n", "\nPasswordAuthentication no\n"} {
			if !strings.Contains(sshd, want) {
				t.Errorf("%s: sshd's configuration %q has no %q", name, sshd, want)
			}
		}
		install, _ := d.file(t, "/etc/hangar/install.sh")
		if other := name == "ssh-user"; strings.Contains(sshd, "Port 2222\n") != other || strings.Contains(install, "try-restart ssh.socket") != other {
			t.Errorf("%s: port in %q and %q", name, sshd, install)
		}
	}
	_, root := rendered(t, variants()["ssh"])
	if !isFalse(root.DisableRoot) || !slices.Equal(root.Authorized, []string{testLoginKey}) || root.Users != nil {
		t.Errorf("root: %+v", root)
	}
	_, user := rendered(t, variants()["ssh-user"])
	if user.DisableRoot != nil || user.Authorized != nil || len(user.Users) != 2 || user.Users[0] != "default" {
		t.Fatalf("user: %+v", user)
	}
	if u := user.Users[1].(map[string]any); u["name"] != "on" || u["ssh_authorized_keys"].([]any)[0] != testLoginKey {
		t.Errorf("user: %v", u)
	}
}

func TestCloudInitRefuses(t *testing.T) {
	ssh := func(change func(*Agent)) func(*Agent) {
		return func(a *Agent) { *a = variants()["ssh"]; change(a) }
	}
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
		{"a setting twice", func(a *Agent) { a.RunnerVolumes, a.Environ = "/a:/b", []string{"DRONE_RUNNER_VOLUMES=/c:/d"} }, "DRONE_RUNNER_VOLUMES is hangar's to set"},
		{"a comma in a label", func(a *Agent) { a.Labels = map[string]string{"a": "b,c"} }, `label "a"`},
		{"a colon in a label's name", func(a *Agent) { a.Labels = map[string]string{"a:b": "c"} }, `label "a:b"`},
		{"a line break in a volume", func(a *Agent) { a.Volumes = []string{"/a:/b\n"} }, "argument"},
		{"no image", func(a *Agent) { a.Image = "" }, `image of agent: "" is not`},
		{"an option as image", func(a *Agent) { a.GC = GC{Enabled: true, Image: "--privileged"} }, `image of drone-gc: "--privileged" is not`},
		{"no port", func(a *Agent) { a.Ports = []string{"http"} }, `published port "http": want`},
		{"port 0", func(a *Agent) { a.Ports = []string{"0:80"} }, `published port "0:80": 0 is not a port`},
		{"ranges of two lengths", func(a *Agent) { a.Ports = []string{"80-82:80-81"} }, `published port "80-82:80-81": the two ranges`},
		{"the health port", func(a *Agent) { a.Ports = []string{"2999-3001:79-81"} }, `published port "2999-3001:79-81": hangar asks at port 3000`},
		{"a runner that hides", func(a *Agent) { a.Environ = []string{"DRONE_HTTP_BIND=127.0.0.1:3000"} }, "DRONE_HTTP_BIND=127.0.0.1:3000: hangar asks"},
		{"no login key", ssh(func(a *Agent) { a.AuthorizedKey = "" }), "no login key"},
		{"no host key", ssh(func(a *Agent) { a.HostKeyPrivate = "top-secret" }), "private host key"},
		{"no public host key", ssh(func(a *Agent) { a.HostKeyPublic = "" }), "public host key"},
		{"two lines of a public key", ssh(func(a *Agent) { a.HostKeyPublic += "x: y\n" }), "an SSH key has a line break"},
		{"no user", ssh(func(a *Agent) { a.SSHUser = "a b" }), `SSH user "a b"`},
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
	for name, agent := range variants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, _ := rendered(t, agent)
			checkSchema(t, text)
		})
	}
}

// checkSchema lets cloud-init judge a cloud-config.
func checkSchema(t *testing.T, text []byte) {
	t.Helper()
	program := need(t, "cloud-init")
	path := filepath.Join(t.TempDir(), "user-data.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "schema", "--config-file", path).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("Valid")) || bytes.Contains(out, []byte("eprecat")) {
		t.Errorf("%v: %s\n%s", err, out, text)
	}
}
