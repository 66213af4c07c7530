package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hangar/state"
)

// born renders the user data of a server under the settings of the guide and
// these.
func born(t *testing.T, set ...string) (*agents, string) {
	t.Helper()
	c, err := parseConfig(guide(set...))
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.agents()
	if err != nil {
		t.Fatal(err)
	}
	text, err := a.userData(state.Server{Name: "agent-b", Capacity: 3})
	if err != nil {
		t.Fatal(err)
	}
	return a, string(text)
}

// Every setting of a machine does something to it.
func TestMachineSettings(t *testing.T) {
	_, plain := born(t)
	for _, tt := range []struct{ set, want string }{
		{"DRONE_AGENT_IMAGE=drone/drone-runner-docker:1.8.3", "image=drone/drone-runner-docker:1.8.3\n"},
		{"DRONE_AGENT_ENVIRON=A=b,HOME_OF_HANGAR", "HOME_OF_HANGAR=/here\n"},
		{"DRONE_AGENT_VOLUMES=/a:/b", "--volume /a:/b "},
		{"DRONE_AGENT_PUBLISHED_PORTS=8080:80", "--publish 8080:80 "},
		{"DRONE_RUNNER_VOLUMES=/a:/b,/c:/d", "DRONE_RUNNER_VOLUMES=/a:/b,/c:/d\n"},
		{"DRONE_RUNNER_DEVICES=/dev/kvm:/dev/kvm", "DRONE_RUNNER_DEVICES=/dev/kvm:/dev/kvm\n"},
		{"DRONE_RUNNER_PRIVILEGED=plugins/docker", "DRONE_RUNNER_PRIVILEGED_IMAGES=plugins/docker\n"},
		{"DRONE_RUNNER_PRIVILEGED_IMAGES=plugins/docker", "DRONE_RUNNER_PRIVILEGED_IMAGES=plugins/docker\n"},
		{"DRONE_RUNNER_ENVFILE=/etc/env", "DRONE_RUNNER_ENV_FILE=/etc/env\n"},
		{"DRONE_GC_ENABLED=true", "--name drone-gc "},
		{"DRONE_GC_IMAGE=example/gc", "\n        example/gc "},
		{"DRONE_GC_DEBUG=true", "GC_DEBUG=true "},
		{"DRONE_GC_IGNORE_IMAGES=a/*,b", "'GC_IGNORE_IMAGES=a/*,b' "},
		{"DRONE_GC_INTERVAL=5m", "GC_INTERVAL=5m0s "},
		{"DRONE_GC_CACHE=20gb", "GC_CACHE=20gb "},
		{"DRONE_WATCHTOWER_ENABLED=true", "--name watchtower "},
		{"DRONE_WATCHTOWER_IMAGE=example/tower", "\n        example/tower "},
		{"DRONE_WATCHTOWER_INTERVAL=60", "WATCHTOWER_POLL_INTERVAL=60 "},
		{"DRONE_WATCHTOWER_TIMEOUT=3h", "WATCHTOWER_TIMEOUT=3h0m0s "},
		{"DRONE_WATCHTOWER_SIGNAL_ENABLED=false", "drone-gc \\\n        --volume /var/run/docker.sock:/var/run/docker.sock \\\n        --env GC_CACHE=10gb \\\n        --env GC_DEBUG=false \\\n        --env GC_INTERVAL=30m0s \\\n        --label com.centurylinklabs.watchtower.enable=false "},
		{"DRONE_WATCHTOWER_STOP_SIGNAL=SIGTERM", "watchtower.stop-signal=SIGTERM "},
	} {
		set := []string{tt.set, "HOME_OF_HANGAR=/here"}
		if strings.HasPrefix(tt.set, "DRONE_GC_") || strings.HasPrefix(tt.set, "DRONE_WATCHTOWER_") {
			set = append(set, "DRONE_GC_ENABLED=true", "DRONE_WATCHTOWER_ENABLED=true")
		}
		if _, text := born(t, set...); !strings.Contains(text, tt.want) || strings.Contains(plain, tt.want) {
			t.Errorf("%s: no %q in\n%s", tt.set, tt.want, text)
		}
	}
}

// What comes from the agent's environment, files included, is shown nowhere.
func TestAgentSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("PASSWORD=in-an-env-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := guide("DRONE_AGENT_ENV_FILE="+file, "DRONE_AGENT_ENVIRON=TOKEN=in-a-setting,ALSO", "ALSO=of-the-environment")
	c, err := parseConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.agents()
	if err != nil {
		t.Fatal(err)
	}
	secrets := c.secrets(environ, a.environ)
	for _, want := range []string{"in-an-env-file", "in-a-setting", "of-the-environment", "agent-token"} {
		if !slices.Contains(secrets, want) {
			t.Errorf("%s is not among the secrets", want)
		}
	}
}

func TestEnter(t *testing.T) {
	const login = "ssh-ed25519 AAAAlogin hangar"
	hostKey := func(server string) (string, string, error) {
		if server == "agent-x" {
			return "", "", errors.New("no key")
		}
		return "-----BEGIN OPENSSH PRIVATE KEY-----\n" + server + "\n-----END OPENSSH PRIVATE KEY-----\n", "ssh-ed25519 AAAAhost " + server, nil
	}
	sample := state.Server{Name: "agent-s", Capacity: 1}
	a, without := born(t)
	if strings.Contains(without, "ssh") {
		t.Errorf("SSH without keys:\n%s", without)
	}
	if err := a.enter(sample, login, hostKey); err != nil {
		t.Fatal(err)
	}
	text, err := a.userData(state.Server{Name: "agent-b", Capacity: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{login, "\n    agent-b\n", "AAAAhost agent-b", "disable_root: false"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if _, err := a.userData(state.Server{Name: "agent-x"}); err == nil {
		t.Error("a server without a host key")
	}

	for _, tt := range []struct {
		own  string
		want []string
	}{
		{`{{ .AuthorizedKey }} {{ .HostKeyPrivate | base64 }}`, nil},
		{`{{ .AuthorizedKey }}`, []string{"DRONE_PACKET_USERDATA: .HostKeyPrivate is not in it"}},
		{`{{ .Name }}`, []string{"DRONE_PACKET_USERDATA: .AuthorizedKey is not in it", "DRONE_PACKET_USERDATA: .HostKeyPrivate is not in it"}},
		{`{{ if .HostKeyPublic }}{{ index .Volumes 3 }}{{ end }}`, []string{"DRONE_PACKET_USERDATA: no cloud-init can be rendered: line 1:"}},
	} {
		a, _ := born(t, "DRONE_PACKET_USERDATA="+tt.own)
		var got ConfigError
		errors.As(a.enter(sample, login, hostKey), &got)
		if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", tt.own, got, tt.want)
		}
	}
}
