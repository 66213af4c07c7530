package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"

	"hangar/state"
)

// wrongHostKey is why a handshake was broken off.
type wrongHostKey struct{ seen ssh.PublicKey }

func (e *wrongHostKey) Error() string {
	return "host key " + ssh.FingerprintSHA256(e.seen) + " is not the expected one"
}

// bastionError is a machine's being out of reach as the bastion tells it.
type bastionError struct {
	bastion string
	err     error
}

func (e *bastionError) Error() string { return "by way of " + e.bastion + ": " + e.err.Error() }
func (e *bastionError) Unwrap() error { return e.err }

// unreachable says in words why no connection came about, or why one broke.
func (t target) unreachable(err error) error {
	if wrong, ok := errors.AsType[*wrongHostKey](err); ok {
		return t.untrusted("shows the host key " + ssh.FingerprintSHA256(wrong.seen))
	}
	if none, ok := errors.AsType[*ssh.AlgorithmNegotiationError](err); ok && none.What == "host key" {
		return t.untrusted("has no host key of this kind (it has: " + sentence(strings.Join(none.RequestedAlgorithms, ", ")) + ")")
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", t, err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return state.Errorf(state.Unavailable, "%s does not answer in time", t)
	}
	return &state.Error{Code: state.Unavailable, Message: fmt.Sprintf("%s %s", t, words(t, err)), Err: errors.New(sentence(err.Error()))}
}

// untrusted is the error of a server that is not the one it should be.
func (t target) untrusted(shows string) error {
	return state.Errorf(state.Untrusted, "%s %s, but must show %s: this may be an attack, another machine that answers in its place. "+
		"It was sent no command and no secret. If somebody reinstalled the machine or changed its host key, destroy the server; "+
		"if ssh/host-seed in hangar's data folder was lost or replaced, restore it from a backup", t, shows, ssh.FingerprintSHA256(t.key))
}

// words is what happened to a connection, for a person.
func words(t target, err error) string {
	if bridge, ok := errors.AsType[*bastionError](err); ok {
		if refusal, ok := errors.AsType[*ssh.OpenChannelError](bridge.err); ok && refusal.Reason == ssh.Prohibited {
			return "cannot be reached: the bastion does not forward connections there (AllowTcpForwarding, PermitOpen)"
		}
		return "cannot be reached from the bastion"
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "cannot be reached: there is no address for the name " + dns.Name
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return "does not answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses SSH connections: its SSH server does not run (yet), or a firewall is in between"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "cannot be reached: there is no route to it"
	case strings.Contains(err.Error(), "ssh: unable to authenticate"):
		return "is the right machine, but does not let user " + t.user + " in with hangar's login key: cloud-init has not put the key there (yet), or the user is another"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return "closed the connection"
	}
	if _, ok := errors.AsType[*ssh.ExitMissingError](err); ok {
		return "closed the connection while a command ran"
	}
	return "cannot be spoken with over SSH"
}
