package templates

import "time"

// Agent is a Drone runner to be started on a server. A user's own template has
// the same fields.
type Agent struct {
	Name     string // DRONE_RUNNER_NAME; the host name
	Image    string // of the runner, for example drone/drone-runner-docker:1
	Proto    string // of the Drone server: http or https
	Host     string // of the Drone server
	Secret   string // DRONE_RPC_SECRET
	Capacity int    // stages at once

	// The platform that the runner tells the server of; Variant and Kernel
	// may be empty.
	OS, Arch, Variant, Kernel string

	Labels  map[string]string // which a stage must have, all of them
	Environ []string          // more of the runner's environment, KEY=VALUE each
	Volumes []string          // mounted into the runner's container, source:target[:options] each
	Ports   []string          // published ports of the runner's container, as docker run --publish takes them

	// What the runner gives to every build, as its settings DRONE_RUNNER_*
	// spell it. RunnerEnvFile is a path inside the runner's container.
	RunnerVolumes, RunnerDevices, RunnerPrivileged, RunnerEnvFile string

	GC         GC
	Watchtower Watchtower

	// How hangar enters the server; all empty when it does not. HostKeyPrivate
	// is in OpenSSH's format, the public keys are a line each.
	AuthorizedKey, HostKeyPrivate, HostKeyPublic string

	SSHUser string // whom AuthorizedKey lets in; root when empty
	SSHPort int    // where sshd listens; 22 when 0
}

// GC is drone/gc, which keeps the images on a server below a size.
type GC struct {
	Enabled  bool
	Image    string
	Debug    bool
	Ignore   []string // images that are kept, with globbing
	Interval time.Duration
	Cache    string // size above which images are removed, such as 10gb
}

// Watchtower replaces containers whose image has changed. It never touches the
// runner, whatever is set: a signal to stop makes the runner refuse new stages
// behind hangar's back, a second one, such as hangar's own, ends it with all
// its builds, and Watchtower kills what has not stopped after Timeout. Runners
// are renewed with their machines.
type Watchtower struct {
	Enabled  bool
	Image    string
	Aids     bool          // it may replace the garbage collector
	Signal   string        // that stops the garbage collector
	Interval int           // seconds between two looks
	Timeout  time.Duration // after which what it stops is killed
}
