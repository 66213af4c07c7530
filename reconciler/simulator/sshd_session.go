package simulator

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
)

// loginTime is for how long a client may take to log in, as with OpenSSH.
const loginTime = 2 * time.Minute

// serve speaks SSH with one client: sessions with a command each, and nothing
// else.
func (s *sshd) serve(ctx context.Context, conn net.Conn, door *door, impostor bool) {
	config := &ssh.ServerConfig{
		ServerVersion:     "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13",
		PublicKeyCallback: door.login.check,
	}
	config.AddHostKey(door.login.hostKey)
	if impostor {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return // never: the random source has no errors
		}
		other, err := ssh.NewSignerFromKey(key)
		if err != nil {
			return // never: it is a key
		}
		config.AddHostKey(other) // in place of the first, being of its kind
	}
	conn.SetDeadline(time.Now().Add(loginTime))
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	defer server.Close()
	conn.SetDeadline(time.Time{})
	s.tasks.Go(func() { ssh.DiscardRequests(requests) })
	for c := range channels {
		if c.ChannelType() != "session" {
			c.Reject(ssh.UnknownChannelType, "unknown channel type")
			continue
		}
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		s.tasks.Go(func() { s.session(ctx, channel, requests, door.device) })
	}
}

// session runs the one command of a session. Terminals, shells and
// environments are refused.
func (s *sshd) session(ctx context.Context, channel ssh.Channel, requests <-chan *ssh.Request, d *Device) {
	defer channel.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for r := range requests {
		var exec struct{ Command string }
		if r.Type != "exec" || ssh.Unmarshal(r.Payload, &exec) != nil {
			r.Reply(false, nil)
			continue
		}
		r.Reply(true, nil)
		s.tasks.Go(func() {
			ssh.DiscardRequests(requests)
			cancel() // the client has gone
		})
		shell := &shell{world: s.world, device: d, out: channel, err: channel.Stderr()}
		code := shell.run(ctx, exec.Command)
		if shell.gone {
			return // nobody is left to tell how it ended
		}
		channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(code)}))
		return
	}
}
