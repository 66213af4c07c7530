package agent

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hangar/state"
)

// programs are what is on a played machine, for /bin/sh: they keep their state
// in a folder. The runner behaves as the source of drone-runner-docker and of
// github.com/drone/signal has it: told to end, it stops listening and ends when
// its work is done; told twice, it ends at once.
var programs = map[string]string{
	"cloud-init": `read -r exit <"$STATE/cloud-init.exit"; /bin/cat "$STATE/cloud-init"; exit "$exit"`,
	"tail":       `[ -e "$STATE/log" ] || { echo "tail: cannot open '$3' for reading: No such file or directory" >&2; exit 1; }; exec /usr/bin/tail -n "$2" "$STATE/log"`,
	"curl": `[ "$container" = running ] && [ ! -e "$STATE/told" ] || { echo "curl: (7) Failed to connect to 127.0.0.1 port 3000" >&2; exit 7; }
[ ! -e "$STATE/sick" ] || { echo "curl: (22) The requested URL returned error: 500" >&2; exit 22; }
echo OK`,
	"docker": `[ ! -e "$STATE/down" ] || { echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?" >&2; exit 1; }
case "$1" in
logs) [ -n "$container" ] || { echo "Error response from daemon: No such container: agent" >&2; exit 1; } ;;
*) [ -n "$container" ] || { echo "Error: No such object: agent" >&2; exit 1; } ;;
esac
case "$*" in
"inspect --format {{.State.Status}} agent") echo "$container" ;;
"inspect --format {{.HostConfig.RestartPolicy.Name}} agent") echo "$policy" ;;
"update --restart=no agent") echo no >"$STATE/policy"; echo agent ;;
"update --restart=always agent") echo always >"$STATE/policy"; echo agent ;;
"kill --signal=TERM agent")
	[ ! -e "$STATE/cut" ] || { /bin/rm "$STATE/cut"; exit 9; }
	[ "$container" = running ] || { echo "Error response from daemon: Cannot kill container: agent: Container 3f2a is not running" >&2; exit 1; }
	if [ -e "$STATE/told" ]; then : >"$STATE/killed"; echo exited >"$STATE/container"
	elif [ -e "$STATE/work" ]; then : >"$STATE/told"
	else echo exited >"$STATE/container"; fi
	echo agent ;;
"start agent")
	[ "$container" = running ] || { /bin/rm -f "$STATE/told"; echo running >"$STATE/container"; }
	echo agent ;;
"logs --tail 500 agent") /bin/cat "$STATE/runner.log" >&2 ;;
"logs --tail 500 -f agent") 
	echo $$ >"$STATE/follower"
	[ ! -e "$STATE/silent" ] || { echo silent; exec /usr/bin/sleep 600; }
	exec /usr/bin/tail -n 500 -f "$STATE/runner.log" ;;
*) echo "unknown: docker $*" >&2; exit 64 ;;
esac`,
	"sudo": `[ "$1" = -n ] || { echo "sudo: a password is required" >&2; exit 1; }; shift; exec "$@"`,
}

// started is what every program does first.
const started = `#!/bin/sh
echo "${0##*/} $*" >>"$STATE/calls"
container= policy=
[ ! -e "$STATE/container" ] || read -r container <"$STATE/container"
[ ! -e "$STATE/policy" ] || read -r policy <"$STATE/policy"
`

// machine is a real OpenSSH server with programs of ours.
type machine struct {
	t     testing.TB
	host  state.Host
	port  int
	dir   string // of its state
	bin   string
	extra string // more of sshd_config
	sshd  *exec.Cmd
	log   *journal
	keys  *Keys
}

// newMachine starts a machine that is set up, its runner idle.
func newMachine(t testing.TB, keys *Keys, server string, extra ...string) *machine {
	t.Helper()
	path := needSSHD(t)
	m := &machine{t: t, host: state.Host{Server: server, Address: "127.0.0.1"}, port: freePort(t), dir: t.TempDir(), bin: t.TempDir(), extra: strings.Join(extra, "\n"), keys: keys}
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(m.bin, name), []byte(started+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.set("cloud-init", "status: done\n")
	m.set("cloud-init.exit", "0\n")
	m.set("container", "running\n")
	m.set("policy", "always\n")
	m.set("runner.log", "")
	m.set("calls", "")
	private, _, err := keys.HostKey(server)
	if err != nil {
		t.Fatal(err)
	}
	m.set("host_key", string(private))
	m.set("authorized_keys", keys.AuthorizedKey()+"\n")
	t.Cleanup(m.stop)
	m.start(path)
	return m
}

// start starts the SSH server and waits until it listens. With a SHLVL, bash
// does not read the tester's own .bashrc.
func (m *machine) start(path string) {
	m.t.Helper()
	if os.Getuid() == 0 { // Debian's systemd unit makes it
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	m.set("sshd_config", fmt.Sprintf(`ListenAddress 127.0.0.1
Port %d
HostKey %[2]s/host_key
AuthorizedKeysFile %[2]s/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
LogLevel VERBOSE
MaxStartups 200
SetEnv PATH=%[3]s STATE=%[2]s SHLVL=2
%[4]s
`, m.port, m.dir, m.bin, m.extra))
	m.log = newJournal()
	m.sshd = exec.Command(path, "-D", "-e", "-f", filepath.Join(m.dir, "sshd_config"))
	m.sshd.Stderr = m.log
	m.sshd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.sshd.Start(); err != nil {
		m.t.Fatal(err)
	}
	if !m.log.contains("Server listening on") {
		m.t.Fatalf("sshd does not listen:\n%s", m.log)
	}
}

// stop ends the SSH server and the connections that it has.
func (m *machine) stop() {
	if m.sshd == nil {
		return
	}
	pid := strconv.Itoa(m.sshd.Process.Pid)
	sessions, _ := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
	m.sshd.Process.Kill()
	for _, session := range strings.Fields(string(sessions)) {
		if child, err := strconv.Atoi(session); err == nil {
			syscall.Kill(child, syscall.SIGKILL)
		}
	}
	m.sshd.Wait()
	m.sshd = nil
}

func (m *machine) set(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) unset(name string) {
	m.t.Helper()
	if err := os.Remove(filepath.Join(m.dir, name)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) has(name string) bool {
	_, err := os.Stat(filepath.Join(m.dir, name))
	return err == nil
}

func (m *machine) get(name string) string {
	text, _ := os.ReadFile(filepath.Join(m.dir, name))
	return strings.TrimSpace(string(text))
}

// calls lists the commands that the machine was sent since the last call.
func (m *machine) calls() []string {
	text := m.get("calls")
	m.set("calls", "")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// finish lets the runner's builds end, as they would by themselves.
func (m *machine) finish() {
	m.unset("work")
	if m.has("told") {
		m.set("container", "exited\n")
	}
}

// client is one that reaches the machine.
func (m *machine) client() *Client {
	m.t.Helper()
	c := New(m.keys)
	me, err := user.Current()
	if err != nil {
		m.t.Fatal(err)
	}
	c.User, c.Port = me.Username, m.port
	m.t.Cleanup(c.Close)
	return c
}

// freePort is a port that nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// journal is a log that can be waited for.
type journal struct {
	mu   sync.Mutex
	more *sync.Cond
	text bytes.Buffer
}

func newJournal() *journal {
	w := &journal{}
	w.more = sync.NewCond(&w.mu)
	return w
}

func (w *journal) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.more.Broadcast()
	return w.text.Write(p)
}

func (w *journal) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// contains waits for a text, for as long as a busy computer may need.
func (w *journal) contains(text string) bool {
	late := false
	timer := time.AfterFunc(20*time.Second, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		late = true
		w.more.Broadcast()
	})
	defer timer.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !strings.Contains(w.text.String(), text) && !late {
		w.more.Wait()
	}
	return strings.Contains(w.text.String(), text)
}
