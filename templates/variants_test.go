package templates

import (
	"time"
)

func plainAgent() Agent {
	return Agent{
		Name: "agent-aaaaaaaa", Image: "drone/drone-runner-docker:1", Proto: "https", Host: "drone.example.com",
		Secret: "correct-horse", Capacity: 2, OS: "linux", Arch: "amd64",
	}
}

func oddAgent() Agent {
	a := plainAgent()
	a.Secret = `q"u'o: #t{e}\n %{x} ${y} é	tab`
	a.Variant, a.Kernel = "v8", "5.15"
	a.Labels = map[string]string{"size": "large", "arch": "x:y", "on": "true"}
	a.Environ = []string{"EMPTY=", "WITH=equals=signs", "TRAILING=space ", "CJK=日本語", "URL=https://u:p@h/?a=b&c=<d>"}
	a.Volumes = []string{"/srv/cache:/cache:ro", "/odd 'path'/\"x\":/y", "/$HOME/`id`\\:/z"}
	return a
}

// They look like keys, and are none.
const (
	testHostKey = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACB1Zbz7Iikwp0JRMOBg2uw1I0VaWc4HZ2nBCEuvJbZbCwAAAJDRw0LA0cNC
-----END OPENSSH PRIVATE KEY-----
`
	testHostKeyPublic = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVlvPsiKTCnQlEw4GDa7DUjRVpZzgdnacEIS68ltlsL host \"key\"\n"
	testLoginKey      = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIS6XDZx5sYqUQ8rFzfK+Ye8xKYNFcJYmZkRV9C2bGfq hangar: 'it's'"
)

// variants are many ways to set up a server.
func variants() map[string]Agent {
	with := func(a Agent, change ...func(*Agent)) Agent {
		for _, c := range change {
			c(&a)
		}
		return a
	}
	gc := func(a *Agent) {
		a.GC = GC{Enabled: true, Image: "drone/gc", Interval: 30 * time.Minute, Cache: "10gb"}
	}
	gcOdd := func(a *Agent) {
		a.GC = GC{Enabled: true, Image: "registry.example.com:5000/gc@sha256:0123", Debug: true, Interval: 90 * time.Second, Cache: "1.5 TB", Ignore: []string{"plugins/*", "it's:[ab]"}}
	}
	watchtower := func(a *Agent) {
		a.Watchtower = Watchtower{Enabled: true, Image: "webhippie/watchtower", Aids: true, Signal: "SIGHUP", Interval: 300, Timeout: 2 * time.Hour}
	}
	root := func(a *Agent) {
		a.AuthorizedKey, a.HostKeyPrivate, a.HostKeyPublic = testLoginKey, testHostKey, testHostKeyPublic
		a.SSHUser, a.SSHPort = "root", 22
	}
	user := func(a *Agent) { root(a); a.SSHUser, a.SSHPort = "on", 2222 }
	ports := func(a *Agent) {
		a.Ports = []string{"8080:80", "127.0.0.1:9000-9002:9000-9002/udp", "[::1]:81:81"}
	}
	runner := func(a *Agent) {
		a.RunnerVolumes, a.RunnerDevices = "/srv/cache:/cache,/a:/b", "/dev/kvm:/dev/kvm"
		a.RunnerPrivileged, a.RunnerEnvFile = "plugins/docker,plugins/ecr", "/etc/runner.env"
	}
	arm := func(a *Agent) { a.Arch, a.Variant = "arm64", "v8" }
	return map[string]Agent{
		"plain":               plainAgent(),
		"odd":                 oddAgent(),
		"arm64":               with(plainAgent(), arm, runner),
		"ssh":                 with(plainAgent(), root),
		"ssh-user":            with(plainAgent(), user),
		"odd-ssh":             with(oddAgent(), root, ports),
		"odd-ssh-user":        with(oddAgent(), user, runner),
		"gc":                  with(plainAgent(), gc),
		"gc-odd":              with(oddAgent(), gcOdd, ports),
		"watchtower":          with(plainAgent(), watchtower),
		"watchtower-gc":       with(plainAgent(), watchtower, gc, runner),
		"everything":          with(oddAgent(), arm, runner, ports, gcOdd, watchtower, root),
		"everything-for-user": with(oddAgent(), arm, runner, ports, gc, watchtower, user),
		"sole-volume":         with(plainAgent(), func(a *Agent) { a.Volumes = []string{"/run/docker.sock:/var/run/docker.sock"} }),
		"health-published":    with(plainAgent(), func(a *Agent) { a.Ports = []string{"3000:3000"} }),
		"other-bind":          with(plainAgent(), func(a *Agent) { a.Environ = []string{"DRONE_HTTP_BIND=:80"} }),
	}
}
