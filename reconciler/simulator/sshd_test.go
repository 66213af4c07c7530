package simulator

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"hangar/state"
)

// newKey makes a key, as it is written in user data and as it is used.
func newKey(t *testing.T) (private string, signer ssh.Signer, authorized string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if signer, err = ssh.NewSignerFromKey(key); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), signer, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

// guest is who logs in to the machines of a test.
type guest struct {
	world *World
	key   ssh.Signer
	host  ssh.Signer // the only host key that is accepted
	data  string     // user data of machines that let the guest in
}

// newGuest serves SSH in a world until the test ends.
func newGuest(t *testing.T, config Config) *guest {
	t.Helper()
	config.RPCSecret = "rpc"
	g := &guest{world: runWorld(t, config)}
	hostKey, host, _ := newKey(t)
	_, key, authorized := newKey(t)
	g.key, g.host = key, host
	g.data = runnerData("agent-1", "DRONE_RUNNER_CAPACITY=2") + "ssh_keys:\n  ed25519_private: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(hostKey), "\n", "\n    ") + "\nssh_authorized_keys:\n- " + authorized + " login\n"
	ctx, cancel := context.WithCancel(context.Background())
	wait, err := g.world.ServeSSH(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := wait(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// until waits until something is true of the world.
func (g *guest) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		changed := g.world.Changed()
		if is() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// active orders a device and returns its address.
func (g *guest) active(t *testing.T, userData string) string {
	t.Helper()
	id := g.world.Order(Order{Hostname: "agent-1", UserData: userData})
	var address string
	g.until(t, "active", func() bool {
		for _, d := range g.world.Devices() {
			if d.ID == id {
				address = d.Address
			}
		}
		return address != ""
	})
	return address
}

// ready orders a device and waits until its runner runs.
func (g *guest) ready(t *testing.T) string {
	t.Helper()
	address := g.active(t, g.data)
	g.until(t, "ready", func() bool {
		look, err := g.world.Machine(address).Look()
		return err == nil && look.Ready()
	})
	return address
}

// dial logs in. The listener comes a moment after the device is active, so
// that a refusal is no answer yet.
func (g *guest) dial(t *testing.T, address, user string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	t.Helper()
	if auth == nil {
		auth = []ssh.AuthMethod{ssh.PublicKeys(g.key)}
	}
	config := &ssh.ClientConfig{
		User: user, Auth: auth, HostKeyCallback: ssh.FixedHostKey(g.host.PublicKey()), HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	}
	var conn net.Conn
	var err error
	for range 50 {
		if conn, err = net.Dial("tcp", net.JoinHostPort(address, strconv.Itoa(g.world.SSHPort()))); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(time.Second))
	c, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	client := ssh.NewClient(c, channels, requests)
	t.Cleanup(func() { client.Close() })
	return client, nil
}

// answer is what a command has printed, and how it ended.
type answer struct {
	out, err string
	code     int
}

func run(t *testing.T, client *ssh.Client, command string) (a answer) {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	var stdout, stderr bytes.Buffer
	session.Stdout, session.Stderr = &stdout, &stderr
	err = session.Run(command)
	var exit *ssh.ExitError
	switch {
	case errors.As(err, &exit):
		a.code = exit.ExitStatus()
	case err != nil:
		t.Errorf("%s: %v", command, err)
	}
	a.out, a.err = stdout.String(), stderr.String()
	return a
}

// mustDial logs in as root.
func (g *guest) mustDial(t *testing.T, address string) *ssh.Client {
	t.Helper()
	client, err := g.dial(t, address, "root")
	if err != nil {
		t.Fatal(err)
	}
	return client
}

const (
	inspectStatus = "docker inspect --format {{.State.Status}} agent"
	askHealth     = "curl -fsS -m 5 http://127.0.0.1:3000/healthz"
	noHealth      = "curl: (7) Failed to connect to 127.0.0.1 port 3000 after 0 ms: Couldn't connect to server\n"
	readSetup     = "tail -n 2 /var/log/cloud-init-output.log"
)

func TestCommands(t *testing.T) {
	quick := Config{BootTime: 50 * time.Millisecond, SetupTime: time.Millisecond}
	early := Config{BootTime: 50 * time.Millisecond, SetupTime: time.Hour}
	tests := []struct {
		name   string
		config Config
		faults Faults
		before []string // commands that have run before
		run    string
		want   answer // out and err are contained in the answer
	}{
		{"setting up", early, Faults{}, nil, "cloud-init status --long", answer{out: "status: running\nextended_status: running\nboot_status_code: enabled-by-generator\nlast_update: "}},
		{"set up", quick, Faults{}, nil, "sudo -n cloud-init status --long", answer{out: "status: done\nextended_status: done\n"}},
		{"set up, without errors", quick, Faults{}, nil, "cloud-init status --long", answer{out: "\ndetail: DataSourceEc2Local\nerrors: []\nrecoverable_errors: {}\n"}},
		{"setup has failed", quick, Faults{SetupFails: 1}, nil, "cloud-init status --long", answer{"status: error\nextended_status: error - done\n", "", 1}},
		{"why setup has failed", quick, Faults{SetupFails: 1}, nil, "cloud-init status --long", answer{"\nerrors:\n\t- Failed to install packages: ['docker.io']\nrecoverable_errors: {}\n", "", 1}},
		{"log of the setup", early, Faults{}, nil, readSetup, answer{out: "Cloud-init v. 24.4 running 'init-local'\n"}},
		{"log of a setup that failed", quick, Faults{SetupFails: 1}, nil, readSetup, answer{out: setupError + "\nCloud-init v. 24.4 finished."}},
		{"another log", quick, Faults{}, nil, "tail -n 2 /etc/shadow", answer{"", "tail: cannot open '/etc/shadow' for reading: No such file or directory\n", 1}},

		{"no container yet", early, Faults{}, nil, inspectStatus, answer{"\n", "Error: No such object: agent\n", 1}},
		{"no container ever", quick, Faults{SetupFails: 1}, nil, inspectStatus, answer{"\n", "Error: No such object: agent\n", 1}},
		{"the container", quick, Faults{}, nil, inspectStatus, answer{out: "running\n"}},
		{"the container, quoted", quick, Faults{}, nil, "sudo -n docker inspect -f '{{.State.Status}} {{.HostConfig.RestartPolicy.Name}}' agent", answer{out: "running always\n"}},
		{"another container", quick, Faults{}, nil, "docker inspect --format {{.State.Status}} redis", answer{"\n", "Error: No such object: redis\n", 1}},
		{"no field", quick, Faults{}, nil, "docker inspect --format {{.Nothing}} agent", answer{"", "template parsing error: ", 1}},

		{"healthy", quick, Faults{}, nil, askHealth, answer{out: "OK"}},
		{"not healthy yet", early, Faults{}, nil, askHealth, answer{"", noHealth, 7}},
		{"not healthy after TERM", quick, Faults{}, []string{"docker kill --signal=TERM agent"}, askHealth, answer{"", noHealth, 7}},

		{"policy", quick, Faults{}, []string{"docker update --restart=no agent"}, "docker inspect -f {{.HostConfig.RestartPolicy.Name}} agent", answer{out: "no\n"}},
		{"another policy", quick, Faults{}, nil, "docker update --restart=sometimes agent", answer{"", "Error response from daemon: invalid restart policy: unknown policy 'sometimes'\n", 1}},
		{"policy of no container", early, Faults{}, nil, "docker update --restart=no agent", answer{"", "Error response from daemon: No such container: agent\n", 1}},

		{"TERM", quick, Faults{}, nil, "docker kill --signal=TERM agent", answer{out: "agent\n"}},
		{"after TERM", quick, Faults{}, []string{"docker kill --signal=TERM agent"}, "docker inspect --format={{.State.Status}},{{.State.ExitCode}} agent", answer{out: "exited,0\n"}},
		{"KILL", quick, Faults{}, []string{"docker kill -s SIGKILL agent"}, "docker inspect --format={{.State.Status}},{{.State.ExitCode}} agent", answer{out: "exited,137\n"}},
		{"TERM of an exited one", quick, Faults{}, []string{"docker kill agent"}, "docker kill --signal=TERM agent", answer{"", "Error response from daemon: cannot kill container: agent: container ", 1}},
		{"TERM of none", early, Faults{}, nil, "docker kill --signal=TERM agent", answer{"", "Error response from daemon: No such container: agent\n", 1}},
		{"another signal", quick, Faults{}, nil, "docker kill --signal=HUP agent", answer{"", "Error response from daemon: invalid signal: HUP\n", 1}},

		{"start", quick, Faults{}, []string{"docker kill agent"}, "docker start agent", answer{out: "agent\n"}},
		{"after start", quick, Faults{}, []string{"docker kill agent", "docker start agent"}, inspectStatus, answer{out: "running\n"}},
		{"start of one that runs", quick, Faults{}, nil, "docker start agent", answer{out: "agent\n"}},
		{"start of none", early, Faults{}, nil, "docker start agent", answer{"", "Error response from daemon: No such container: agent\nError: failed to start containers: agent\n", 1}},

		{"logs", quick, Faults{}, nil, "docker logs --tail 1 agent", answer{err: `level=info msg="polling the remote server" capacity=2`}},
		{"logs, redirected", quick, Faults{}, nil, "docker logs agent 2>&1", answer{out: `level=info msg="starting the server"`}},
		{"logs after TERM", quick, Faults{}, []string{"docker kill --signal=TERM agent"}, "docker logs --tail=1 agent", answer{err: "received signal, terminating process\n"}},
		{"logs of none", early, Faults{}, nil, "docker logs agent", answer{"", "Error response from daemon: No such container: agent\n", 1}},

		{"another docker command", quick, Faults{}, nil, "docker rm agent", answer{"", "docker: 'rm' is not a docker command.\n", 127}},
		{"another command", quick, Faults{}, nil, "rm -rf /", answer{"", "bash: line 1: rm: command not found\n", 127}},
		{"an empty command", quick, Faults{}, nil, "", answer{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t, test.config)
			g.world.SetFaults(test.faults)
			address := g.active(t, g.data)
			client := g.mustDial(t, address)
			if test.config.SetupTime < time.Hour {
				g.until(t, "set up", func() bool {
					look, err := g.world.Machine(address).Look()
					return err == nil && look.CloudInit != "running"
				})
			}
			for _, command := range test.before {
				if a := run(t, client, command); a.code != 0 {
					t.Errorf("%s: %+v", command, a)
				}
			}
			got := run(t, client, test.run)
			if !strings.Contains(got.out, test.want.out) || !strings.Contains(got.err, test.want.err) || got.code != test.want.code ||
				(got.out == "") != (test.want.out == "") || (got.err == "") != (test.want.err == "") {
				t.Errorf("%s: %+v, want %+v", test.run, got, test.want)
			}
		})
	}
}

func TestWhoMayLogIn(t *testing.T) {
	_, stranger, strangers := newKey(t)
	tests := []struct {
		name string
		user string
		auth []ssh.AuthMethod
		data func(data string) string // made of the guest's
		want string                   // in the error; empty: lets in
	}{
		{name: "root", user: "root"},
		{name: "the image's user", user: "ubuntu"},
		{name: "nobody", user: "nobody", want: "unable to authenticate"},
		{name: "another key", user: "root", auth: []ssh.AuthMethod{ssh.PublicKeys(stranger)}, want: "unable to authenticate"},
		{name: "a password", user: "root", auth: []ssh.AuthMethod{ssh.Password("root")}, want: "attempted methods [none], no supported methods"},
		{
			name: "a user of its own", user: "ci", auth: []ssh.AuthMethod{ssh.PublicKeys(stranger)},
			data: func(d string) string {
				return d + "users:\n- default\n- name: ci\n  ssh_authorized_keys:\n  - " + strangers + "\n"
			},
		},
		{
			name: "a user's key is no key of root's", user: "root", auth: []ssh.AuthMethod{ssh.PublicKeys(stranger)}, want: "unable to authenticate",
			data: func(d string) string { return d + "users:\n- name: ci\n  ssh_authorized_keys: [" + strangers + "]\n" },
		},
		{
			name: "no host key", user: "root", want: "connection refused",
			data: func(d string) string { return strings.Replace(d, "ssh_keys:", "no_keys:", 1) },
		},
		{
			name: "no cloud-config", user: "root", want: "connection refused",
			data: func(d string) string { return "#!/bin/sh\n" + d },
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t, Config{BootTime: 50 * time.Millisecond})
			if test.data != nil {
				g.data = test.data(g.data)
			}
			_, err := g.dial(t, g.active(t, g.data), test.user, test.auth...)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("logged in: %v, want %q", err, test.want)
			}
		})
	}
}

// User data that cannot be read is said so, and the machine does not answer.
func TestBrokenUserData(t *testing.T) {
	rsa := "ssh_keys:\n  ed25519_private: |\n    nonsense\n"
	for _, data := range []string{"a: b: c\n", rsa, "ssh_authorized_keys: [nonsense]\n", "users: [{name: ci, ssh_authorized_keys: [nonsense]}]\n"} {
		w := runWorld(t, Config{BootTime: 10 * time.Millisecond})
		ctx, cancel := context.WithCancel(context.Background())
		wait, err := w.ServeSSH(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		g := &guest{world: w}
		address := g.active(t, "#cloud-config\n"+data)
		time.Sleep(50 * time.Millisecond)
		if _, err := net.Dial("tcp", net.JoinHostPort(address, strconv.Itoa(w.SSHPort()))); err == nil {
			t.Errorf("%q: the machine answers", data)
		}
		cancel()
		if err := wait(); err == nil {
			t.Errorf("%q: nothing is wrong", data)
		}
	}
}

func TestFaultsOfConnections(t *testing.T) {
	tests := []struct {
		name   string
		faults Faults
		want   string     // in the error of a login
		code   state.Code // of the error of Machine.Look
	}{
		{"none", Faults{}, "", ""},
		{"refused", Faults{SSHRefused: 1}, "connection reset by peer", state.Unavailable},
		{"half open", Faults{SSHHalfOpen: 1}, "i/o timeout", state.Unavailable},
		{"slow", Faults{SSHSlow: 1, SSHSlowBy: 200 * time.Millisecond}, "", ""},
		{"another host key", Faults{WrongHostKey: []string{"agent-1"}}, "host key mismatch", state.Untrusted},
		{"another's other host key", Faults{WrongHostKey: []string{"agent-2"}}, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t, Config{BootTime: 50 * time.Millisecond})
			address := g.ready(t)
			g.mustDial(t, address).Close()
			g.world.SetFaults(test.faults)
			start := time.Now()
			_, err := g.dial(t, address, "root")
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("logged in: %v, want %q", err, test.want)
			}
			if took := time.Since(start); took < test.faults.SSHSlowBy {
				t.Errorf("logged in after %s", took)
			}
			_, err = g.world.Machine(address).Look()
			if state.CodeOf(err) != test.code || (err == nil) != (test.code == "") || err != nil && !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("looked: %v, want %q", err, test.code)
			}
		})
	}
}

// A machine that dies, or is destroyed, takes its connections with it.
func TestConnectionsEndWithTheirDevice(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, w *World){
		"dies": func(t *testing.T, w *World) { w.Die("agent-1") },
		"is destroyed": func(t *testing.T, w *World) {
			if status, _ := metal(t, w, "DELETE", "/devices/"+w.Devices()[0].ID, ""); status != 204 {
				t.Errorf("delete answered %d", status)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t, Config{BootTime: 50 * time.Millisecond})
			address := g.ready(t)
			client := g.mustDial(t, address)
			end(t, g.world)
			client.Wait()
			if _, err := g.dial(t, address, "root"); err == nil || !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("logged in: %v", err)
			}
		})
	}
}

func TestFollowLogs(t *testing.T) {
	g := newGuest(t, Config{BootTime: 50 * time.Millisecond})
	address := g.ready(t)
	client := g.mustDial(t, address)
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := session.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start("docker logs --follow --tail 1 agent"); err != nil {
		t.Fatal(err)
	}
	log := bufio.NewScanner(stderr)
	for _, want := range []string{"polling the remote server", "received signal"} {
		if !log.Scan() || !strings.Contains(log.Text(), want) {
			t.Fatalf("log says %q, want %q", log.Text(), want)
		}
		if err := g.world.Machine(address).Drain(); err != nil {
			t.Fatal(err)
		}
	}
	if err := session.Wait(); err != nil || log.Scan() {
		t.Errorf("the log goes on with %q, %v", log.Text(), err)
	}
}

// Every machine answers at its address on the one port, and no other world
// gets it meanwhile.
func TestManyMachines(t *testing.T) {
	g := newGuest(t, Config{BootTime: 50 * time.Millisecond})
	var addresses []string
	for range 20 {
		addresses = append(addresses, g.active(t, g.data))
	}
	for _, address := range addresses {
		if a := run(t, g.mustDial(t, address), "cloud-init status --long"); a.code != 0 {
			t.Errorf("%s: %+v", address, a)
		}
	}
	if _, err := New(Config{}).ServeSSH(t.Context(), g.world.SSHPort()); err == nil {
		t.Error("two worlds have one port")
	}
}
