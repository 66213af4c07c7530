package templates

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bench is a folder with the files of a machine, and programs that stand for
// the machine's and tell what they were asked.
type bench struct{ dir string }

// said writes a line of what a program was called with; every argument ends
// with a semicolon.
const said = `printf '%s;' "$(basename "$0")" "$@" >> "$BENCH/log"; echo >> "$BENCH/log"` + "\n"

func newBench(t *testing.T, agent Agent, programs map[string]string) bench {
	t.Helper()
	b := bench{t.TempDir()}
	_, d := rendered(t, agent)
	for _, name := range []string{"firewall.sh", "install.sh", "start.sh"} {
		content, permissions := d.file(t, "/etc/hangar/"+name)
		if permissions != "0700" {
			t.Errorf("%s has permissions %s", name, permissions)
		}
		b.write(t, name, content)
	}
	for name, script := range programs {
		b.write(t, filepath.Join("bin", name), "#!/bin/sh\n"+script)
	}
	return b
}

func (b bench) write(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(b.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// run runs one of the machine's scripts and returns what the programs were
// called with, a line each.
func (b bench) run(t *testing.T, name string) ([]string, error) {
	t.Helper()
	cmd := exec.Command("/bin/sh", filepath.Join(b.dir, name))
	cmd.Env = []string{"PATH=" + filepath.Join(b.dir, "bin") + ":/usr/bin:/bin", "BENCH=" + b.dir}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	log, _ := os.ReadFile(filepath.Join(b.dir, "log"))
	return strings.Split(strings.TrimSuffix(string(log), "\n"), "\n"), err
}

func TestScriptsAreSound(t *testing.T) {
	program := need(t, "shellcheck")
	for name, agent := range variants() {
		b := newBench(t, agent, nil)
		for _, script := range []string{"firewall.sh", "install.sh", "start.sh"} {
			// SC2016: a dollar sign in single quotes is meant as one.
			out, err := exec.Command(program, "--shell=sh", "--exclude=SC2016", filepath.Join(b.dir, script)).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %s: %v\n%s", name, script, err, out)
			}
		}
	}
}

// What the shell makes of odd volumes and ports is what was asked for.
func TestInstall(t *testing.T) {
	agent := variants()["everything"]
	b := newBench(t, agent, map[string]string{"docker": said, "systemctl": said})
	got, err := b.run(t, "install.sh")
	if err != nil {
		t.Fatal(err)
	}
	v := agent.Volumes
	want := []string{
		"systemctl;enable;--now;docker.service;",
		"systemctl;enable;hangar-firewall.service;",
		"docker;pull;drone/drone-runner-docker:1;",
		"docker;create;--restart=always;--name;agent;--env-file;/etc/hangar/agent.env;--label;io.drone.agent.name=agent-aaaaaaaa;--label;io.drone.agent.capacity=2;" +
			"--label;com.centurylinklabs.watchtower.enable=false;--volume;/var/run/docker.sock:/var/run/docker.sock;" +
			"--volume;" + v[0] + ";--volume;" + v[1] + ";--volume;" + v[2] + ";--publish;127.0.0.1:3000:3000;--publish;8080:80;" +
			"--publish;127.0.0.1:9000-9002:9000-9002/udp;--publish;[::1]:81:81;drone/drone-runner-docker:1;",
		"systemctl;start;--no-block;hangar-agent.service;",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The agent is not created before there is an image, and a registry that never
// answers is an error of cloud-init.
func TestInstallWithoutRegistry(t *testing.T) {
	b := newBench(t, plainAgent(), map[string]string{"docker": said + "exit 1", "systemctl": said, "sleep": said})
	got, err := b.run(t, "install.sh")
	if err == nil {
		t.Error("no error")
	}
	if n := len(got); n != 11 || got[n-1] != got[n-3] || got[n-2] != "sleep;60;" || !strings.HasPrefix(got[n-1], "docker;pull;") {
		t.Errorf("got:\n%s", strings.Join(got, "\n"))
	}
}

func TestStart(t *testing.T) {
	for _, tt := range []struct {
		name, docker string
		want         []string
		fails        bool
	}{
		{"everything", said, []string{
			"docker;start;agent;",
			"docker;run;--detach;--restart=always;--name;drone-gc;--volume;/var/run/docker.sock:/var/run/docker.sock;--env;GC_CACHE=1.5 TB;--env;GC_DEBUG=true;" +
				"--env;GC_INTERVAL=1m30s;--env;GC_IGNORE_IMAGES=plugins/*,it's:[ab];--label;com.centurylinklabs.watchtower.enable=true;" +
				"--label;com.centurylinklabs.watchtower.stop-signal=SIGHUP;registry.example.com:5000/gc@sha256:0123;",
			"docker;run;--detach;--restart=always;--name;watchtower;--volume;/var/run/docker.sock:/var/run/docker.sock;--env;WATCHTOWER_POLL_INTERVAL=300;" +
				"--env;WATCHTOWER_TIMEOUT=2h0m0s;--env;WATCHTOWER_CLEANUP=true;--env;WATCHTOWER_LABEL_ENABLE=true;webhippie/watchtower;",
		}, false},
		{"watchtower-gc", `[ "$1" != run ] || exit 1` + "\n" + said, []string{"docker;start;agent;"}, false},
		{"gc", `[ "$1" != start ] || exit 1` + "\n" + said, []string{""}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, variants()[tt.name], map[string]string{"docker": tt.docker})
			got, err := b.run(t, "start.sh")
			if (err != nil) != tt.fails || !slices.Equal(got, tt.want) {
				t.Errorf("%v, got:\n%s\nwant:\n%s", err, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestHealthPort(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"plain", "--publish 127.0.0.1:3000:3000 "},
		{"other-bind", "--publish 127.0.0.1:3000:80 "},
		{"health-published", "--publish 3000:3000 "},
	} {
		_, d := rendered(t, variants()[tt.name])
		install, _ := d.file(t, "/etc/hangar/install.sh")
		if !strings.Contains(install, tt.want) || strings.Count(install, "--publish") != 1 {
			t.Errorf("%s: no sole %q in\n%s", tt.name, tt.want, install)
		}
	}
	_, d := rendered(t, variants()["sole-volume"])
	if install, _ := d.file(t, "/etc/hangar/install.sh"); strings.Count(install, "--volume") != 1 {
		t.Errorf("docker's socket is mounted twice:\n%s", install)
	}
}

// The units fit into the boots of a machine with Docker and cloud-init, as the
// packages order them.
func TestUnits(t *testing.T) {
	program := need(t, "systemd-analyze")
	_, d := rendered(t, plainAgent())
	firewall, _ := d.file(t, "/etc/systemd/system/hangar-firewall.service")
	agent, _ := d.file(t, "/etc/systemd/system/hangar-agent.service")
	const service = "\n[Service]\nType=oneshot\nExecStart=/bin/true\n"
	verify := func(t *testing.T, firewall string) string {
		dir := t.TempDir()
		for name, content := range map[string]string{
			"hangar-firewall.service": firewall, "hangar-agent.service": agent,
			"docker.service":      "[Unit]\nAfter=network-online.target\nWants=network-online.target" + service,
			"cloud-init.service":  "[Unit]\nDefaultDependencies=no\nBefore=network-online.target sysinit.target" + service,
			"cloud-final.service": "[Unit]\nAfter=network-online.target multi-user.target" + service,
			"cloud-init.target":   "[Unit]\nAfter=multi-user.target\nWants=cloud-init.service cloud-final.service\n",
			"multi-user.target":   "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=docker.service cloud-init.target\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		wanted := filepath.Join(dir, "docker.service.requires")
		if err := errors.Join(os.Mkdir(wanted, 0o700), os.Symlink("../hangar-firewall.service", filepath.Join(wanted, "hangar-firewall.service"))); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "verify", "--man=no", filepath.Join(dir, "multi-user.target"), filepath.Join(dir, "hangar-agent.service"))
		cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
		out, err := cmd.CombinedOutput()
		if err != nil {
			out = append(out, err.Error()...)
		}
		return string(bytes.TrimSpace(out))
	}
	if out := verify(t, firewall); out != "" {
		t.Errorf("%s", out)
	}
	if out := verify(t, strings.Replace(firewall, "cloud-init.service", "cloud-final.service", 1)); !strings.Contains(out, "cycle") {
		t.Errorf("waiting for cloud-final.service would not be noticed: %q", out)
	}
	if out := verify(t, strings.Replace(firewall, "ExecStart=", "ExecStrat=", 1)); !strings.Contains(out, "ExecStrat") {
		t.Errorf("a mistake in a unit would not be noticed: %q", out)
	}
}
