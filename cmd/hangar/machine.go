package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"hangar/templates"
)

var (
	sizeForm   = regexp.MustCompile(`^(?i)\d+(\.\d+)? ?([kmgtp]i?)?b?$`)
	signalForm = regexp.MustCompile(`^(SIG)?[A-Z]+[0-9]*([+-][0-9]+)?$`)
	jumpForm   = regexp.MustCompile(`^(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)(?::[0-9]{1,5})?$`)
	keyForm    = regexp.MustCompile(`^(ssh|ecdsa|sk)-[a-z0-9@.-]+ AAAA[A-Za-z0-9+/]+=*( .*)?$`)
)

// machineMistakes are those in what concerns the machines and the way to them.
func (c Config) machineMistakes() []string {
	var found []string
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			found = append(found, fmt.Sprintf(format, args...))
		}
	}
	atLeast := func(name string, got, least time.Duration) {
		wrong(got < least, "%s=%s: want %s or more", name, got, least)
	}
	for _, p := range c.AgentPorts {
		if err := templates.CheckPort(p); err != nil {
			wrong(true, "DRONE_AGENT_PUBLISHED_PORTS=%s: %v", list(c.AgentPorts), err)
		}
	}
	for name, image := range map[string]string{"DRONE_AGENT_IMAGE": c.AgentImage, "DRONE_GC_IMAGE": c.GCImage, "DRONE_WATCHTOWER_IMAGE": c.WatchtowerImage} {
		wrong(strings.HasPrefix(image, "-") || strings.ContainsAny(image, " \t"), "%s=%s: want the name of an image", name, image)
	}
	wrong(!templates.UserName.MatchString(c.SSHUser), "DRONE_SSH_USER=%s: want the name of a user, in lower case", c.SSHUser)
	wrong(c.SSHPort < 1 || c.SSHPort > 65535, "DRONE_SSH_PORT=%d: want a port such as 22", c.SSHPort)
	wrong(c.SSHJump != "" && !jumpForm.MatchString(c.SSHJump), "DRONE_SSH_PROXY_JUMP=%s: want [user@]host[:port], such as bastion.example.com", c.SSHJump)
	wrong(c.SSHJump != "" && c.SSHJumpKey == "", "DRONE_SSH_PROXY_JUMP=%s: set DRONE_SSH_PROXY_JUMP_KEY to its public host key; ssh-keyscan on a network that you trust shows it", c.SSHJump)
	wrong(c.SSHJumpKey != "" && !keyForm.MatchString(c.SSHJumpKey), "DRONE_SSH_PROXY_JUMP_KEY=%s: want a public key such as ssh-ed25519 AAAA...", c.SSHJumpKey)
	wrong(c.SSHJumpKey != "" && c.SSHJump == "", "DRONE_SSH_PROXY_JUMP_KEY=%s: belongs to DRONE_SSH_PROXY_JUMP, which is not set", c.SSHJumpKey)
	atLeast("DRONE_SSH_TIMEOUT", c.SSHTimeout, 100*time.Millisecond)
	atLeast("DRONE_AGENT_GRACE", c.AgentGrace, time.Second)
	atLeast("DRONE_INSTALL_CHECK_INTERVAL", c.CheckInterval, 100*time.Millisecond)
	wrong(c.CheckDeadline < c.CheckInterval, "DRONE_INSTALL_CHECK_DEADLINE=%s: want DRONE_INSTALL_CHECK_INTERVAL=%s or more", c.CheckDeadline, c.CheckInterval)
	atLeast("DRONE_TIMEOUT_STOP", c.TimeoutStop, time.Second)
	atLeast("DRONE_PINGER_INTERVAL", c.PingerInterval, 100*time.Millisecond)
	atLeast("DRONE_REAPER_INTERVAL", c.ReaperInterval, 100*time.Millisecond)
	atLeast("DRONE_GC_INTERVAL", c.GCInterval, time.Second)
	wrong(!sizeForm.MatchString(c.GCCache), "DRONE_GC_CACHE=%s: want a size such as 10gb", c.GCCache)
	wrong(c.WatchtowerInterval < 1, "DRONE_WATCHTOWER_INTERVAL=%d: want 1 or more, in seconds", c.WatchtowerInterval)
	atLeast("DRONE_WATCHTOWER_TIMEOUT", c.WatchtowerTimeout, time.Second)
	wrong(!signalForm.MatchString(c.WatchtowerSignal), "DRONE_WATCHTOWER_STOP_SIGNAL=%s: want a signal such as SIGTERM", c.WatchtowerSignal)
	return found
}
