package agent

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"hangar/state"
)

// Command is the command line of an ordinary ssh for a person, with the login
// key, and with the host keys pinned in a file that it writes. It takes nothing
// from the person's own configuration: that could weaken the pinning.
func (c *Client) Command(h state.Host) ([]string, error) {
	argv, err := c.command(h)
	if err != nil {
		return nil, fmt.Errorf("ssh command for %s: %w", h.Server, err)
	}
	return argv, nil
}

func (c *Client) command(h state.Host) ([]string, error) {
	if err := state.CheckHostname(h.Server); err != nil { // it becomes a file's name
		return nil, err
	}
	t, err := c.machine(h)
	if err != nil {
		return nil, err
	}
	if !plainHost(h.Address) {
		return nil, fmt.Errorf("%q is not a host name or an IP address", h.Address)
	}
	known := c.knownHosts(t)
	jump := []string{}
	if c.ProxyJump != "" {
		b, err := c.bastion()
		if err != nil {
			return nil, err
		}
		b.name = "bastion." + h.Server
		known += c.knownHosts(b)
		host, port, err := net.SplitHostPort(b.address)
		if err != nil {
			return nil, err
		}
		// Not -J: that ssh would know neither the key nor the file.
		through := percent(ShellLine(append(c.options(b, h.Server), "-p", port, b.user+"@"+host)))
		jump = []string{"-o", "ProxyCommand=" + through + " -W '[%h]:%p'"}
	}
	folder := filepath.Join(c.keys.dir, "known_hosts.d")
	if err := privateFolder(folder); err != nil {
		return nil, err
	}
	if err := replace(filepath.Join(folder, h.Server), []byte(known)); err != nil {
		return nil, err
	}
	argv := append(c.options(t, h.Server), jump...)
	return append(argv, "-p", strconv.Itoa(c.Port), c.User+"@"+h.Address), nil
}

// knownHosts is the line by which ssh knows a server: by its name, which,
// other than its address, is used once.
func (c *Client) knownHosts(t target) string { return t.name + " " + publicLine(t.key) + "\n" }

// options are ssh and its options for a server whose line is in a file.
func (c *Client) options(t target, file string) []string {
	path := func(option, p string) string { return option + `="` + percent(p) + `"` }
	return []string{
		"ssh", "-F", "none", "-o", path("IdentityFile", c.keys.loginFile), "-o", "IdentitiesOnly=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlias=" + t.name,
		"-o", "HostKeyAlgorithms=" + strings.Join(hostKeyAlgorithms(t.key), ","),
		"-o", path("UserKnownHostsFile", filepath.Join(c.keys.dir, "known_hosts.d", file)),
		"-o", "GlobalKnownHostsFile=/dev/null",
	}
}

// percent keeps ssh from taking a percent sign for the start of a token.
func percent(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// ShellLine writes words as a shell reads them, in single quotes where needed.
func ShellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = w
		if strings.ContainsAny(w, " \t'\"\\$`[]*?&;|<>()#~!{}") {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
