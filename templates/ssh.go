package templates

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// access is how hangar enters a server, checked.
type access struct {
	User, AuthorizedKey, HostKeyPrivate, HostKeyPublic string

	Root bool
	Port int // 0: sshd's own choice
}

// UserName is the form of a user on a server.
var UserName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)

// access returns nil when hangar does not enter the server.
func (a Agent) access() (*access, error) {
	keys := []string{a.AuthorizedKey, a.HostKeyPrivate, a.HostKeyPublic}
	if strings.Join(keys, "") == "" {
		return nil, nil
	}
	s := &access{
		User: cmp.Or(a.SSHUser, "root"), AuthorizedKey: a.AuthorizedKey,
		HostKeyPrivate: strings.TrimSuffix(a.HostKeyPrivate, "\n"), HostKeyPublic: strings.TrimSuffix(a.HostKeyPublic, "\n"),
	}
	s.Root = s.User == "root"
	if a.SSHPort != 22 {
		s.Port = a.SSHPort
	}
	if !UserName.MatchString(s.User) {
		return nil, fmt.Errorf("SSH user %q: not the name of a user", s.User)
	}
	// Errors do not quote: one of the three is a secret.
	if !strings.HasPrefix(s.HostKeyPrivate, "-----BEGIN OPENSSH PRIVATE KEY-----\n") {
		return nil, errors.New("the private host key is not in OpenSSH's format")
	}
	if !strings.HasPrefix(s.HostKeyPublic, "ssh-ed25519 ") {
		return nil, errors.New("the public host key is not of the kind ed25519")
	}
	if s.AuthorizedKey == "" {
		return nil, errors.New("there is a host key, and no login key")
	}
	for _, line := range append(strings.Split(s.HostKeyPrivate, "\n"), s.HostKeyPublic, s.AuthorizedKey) {
		if err := checkText(line); err != nil {
			return nil, fmt.Errorf("an SSH key has %w", err)
		}
	}
	return s, nil
}

// sshd is its configuration. It is read before the distribution's, and what is
// said first holds, except that ports add up and other host keys are not looked
// for when one is named: a package that is upgraded makes new ones.
func (s access) sshd() string {
	var b strings.Builder
	b.WriteString("# Written by hangar.\nHostKey /etc/ssh/ssh_host_ed25519_key\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n")
	if s.Root {
		b.WriteString("PermitRootLogin prohibit-password\n")
	}
	if s.Port != 0 {
		fmt.Fprintf(&b, "Port %d\n", s.Port)
	}
	return b.String()
}
