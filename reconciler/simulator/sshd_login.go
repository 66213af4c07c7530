package simulator

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/ssh"
)

// login is who may log in to a device, and how it shows that it is itself.
type login struct {
	hostKey ssh.Signer                 // nil: it does not answer
	keys    map[string][]ssh.PublicKey // by user
}

// defaultUsers are those whom the authorized keys at the top level let in:
// root, and the default users of Ubuntu and Debian.
var defaultUsers = []string{"root", "ubuntu", "debian"}

// cloudConfig is the part of a cloud-config that is about SSH
// (https://docs.cloud-init.io/en/latest/reference/modules.html#ssh).
type cloudConfig struct {
	SSHKeys struct {
		ED25519 string `yaml:"ed25519_private"`
	} `yaml:"ssh_keys"`
	Authorized []string    `yaml:"ssh_authorized_keys"`
	Users      []yaml.Node `yaml:"users"` // names, or maps
}

// readLogin reads the SSH settings of user data. User data that is no
// cloud-config has none.
func readLogin(userData string) (*login, error) {
	l := &login{keys: map[string][]ssh.PublicKey{}}
	if !bytes.HasPrefix([]byte(userData), []byte("#cloud-config")) {
		return l, nil
	}
	var c cloudConfig
	if err := yaml.Unmarshal([]byte(userData), &c); err != nil {
		return l, err
	}
	var errs []error
	if c.SSHKeys.ED25519 != "" {
		key, err := ssh.ParsePrivateKey([]byte(c.SSHKeys.ED25519))
		if err != nil {
			errs = append(errs, fmt.Errorf("ssh_keys: %w", err))
		} else if t := key.PublicKey().Type(); t != ssh.KeyAlgoED25519 {
			errs = append(errs, fmt.Errorf("ssh_keys: ed25519_private is an %s key", t))
		}
		l.hostKey = key
	}
	for _, user := range defaultUsers {
		errs = append(errs, l.allow(user, c.Authorized))
	}
	for _, node := range c.Users {
		var user struct {
			Name       string   `yaml:"name"`
			Authorized []string `yaml:"ssh_authorized_keys"`
		}
		if node.Kind == yaml.MappingNode {
			errs = append(errs, node.Decode(&user), l.allow(user.Name, user.Authorized))
		}
	}
	return l, errors.Join(errs...)
}

func (l *login) allow(user string, lines []string) error {
	for _, line := range lines {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			return fmt.Errorf("ssh_authorized_keys of %s: %w", user, err)
		}
		l.keys[user] = append(l.keys[user], key)
	}
	return nil
}

// check lets in a user who has shown an authorized key.
func (l *login) check(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	shown := key.Marshal()
	if slices.ContainsFunc(l.keys[c.User()], func(k ssh.PublicKey) bool { return bytes.Equal(k.Marshal(), shown) }) {
		return nil, nil
	}
	return nil, errors.New("no authorized key")
}
