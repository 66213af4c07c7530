package agent

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"hangar/state"
)

// server is an SSH server in this process, for what sshd cannot be made to do
// and for many at once.
type server struct {
	host     state.Host
	listener net.Listener
	config   *ssh.ServerConfig
	do       func(command string, out ssh.Channel) (exit uint32)

	mu       sync.Mutex
	commands []string
}

// readyMachine answers as a machine does that is set up, its runner idle.
func readyMachine(command string, out ssh.Channel) uint32 {
	switch command {
	case cloudInitStatus:
		out.Write([]byte("status: done\n"))
	case inspectState:
		out.Write([]byte("running\n"))
	}
	return 0
}

func newServer(t testing.TB, keys *Keys, name string, do func(string, ssh.Channel) uint32) *server {
	t.Helper()
	private, _, err := keys.HostKey(name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{host: state.Host{Server: name, Address: name + ".example"}, listener: l, do: do, config: &ssh.ServerConfig{
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil },
	}}
	s.config.AddHostKey(signer)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

func (s *server) serve(conn net.Conn) {
	_, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		conn.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	for n := range channels {
		channel, requests, err := n.Accept()
		if err != nil {
			return
		}
		go s.session(channel, requests)
	}
}

func (s *server) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		r.Reply(r.Type == "exec", nil)
		if r.Type != "exec" {
			continue
		}
		var exec struct{ Command string }
		ssh.Unmarshal(r.Payload, &exec)
		s.mu.Lock()
		s.commands = append(s.commands, exec.Command)
		s.mu.Unlock()
		go ssh.DiscardRequests(requests)
		status := struct{ Exit uint32 }{s.do(exec.Command, channel)}
		channel.SendRequest("exit-status", false, ssh.Marshal(status))
		return
	}
}

// dialer counts the connections of a client to some servers, which it finds by
// the names that stand for their addresses.
type dialer struct {
	ports map[string]int

	mu                 sync.Mutex
	open, most, dialed int
}

func newDialer(servers ...*server) *dialer {
	d := &dialer{ports: map[string]int{}}
	for _, s := range servers {
		d.ports[s.host.Address] = s.listener.Addr().(*net.TCPAddr).Port
	}
	return d
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var n net.Dialer
	conn, err := n.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", strconv.Itoa(d.ports[host])))
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dialed++
	d.open++
	d.most = max(d.most, d.open)
	return &counted{Conn: conn, d: d}, nil
}

func (d *dialer) counts() (open, most, dialed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open, d.most, d.dialed
}

type counted struct {
	net.Conn
	d    *dialer
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() {
		c.d.mu.Lock()
		defer c.d.mu.Unlock()
		c.d.open--
	})
	return c.Conn.Close()
}
