package simulator

import (
	"bufio"
	"strconv"
	"strings"

	"hangar/state"
)

// runner is a drone-runner-docker on a device, in a container of docker's.
type runner struct {
	device   *Device
	name     string
	capacity int
	platform state.Platform
	labels   map[string]string
	refused  bool // by the server, for ever: it has no name, or another secret
	container
}

// asks says whether the runner asks the server for work.
func (r *runner) asks() bool { return r.healthy() && !r.refused }

// newRunner reads a runner's settings as drone-runner-docker does, with its
// defaults.
func newRunner(d *Device, env map[string]string) *runner {
	r := &runner{
		device: d, name: env["DRONE_RUNNER_NAME"], capacity: 2,
		container: container{status: running, policy: always},
		platform: state.Platform{
			OS: "linux", Arch: "amd64",
			Variant: env["DRONE_PLATFORM_VARIANT"], Kernel: env["DRONE_PLATFORM_KERNEL"],
		},
		labels: map[string]string{},
	}
	if n, err := strconv.Atoi(env["DRONE_RUNNER_CAPACITY"]); err == nil {
		r.capacity = n
	}
	if v := env["DRONE_PLATFORM_OS"]; v != "" {
		r.platform.OS = v
	}
	if v := env["DRONE_PLATFORM_ARCH"]; v != "" {
		r.platform.Arch = v
	}
	for pair := range strings.SplitSeq(env["DRONE_RUNNER_LABELS"], ",") {
		if k, v, ok := strings.Cut(pair, ":"); ok {
			r.labels[k] = v
		}
	}
	return r
}

// environment finds the lines KEY=VALUE of an environment file in user data,
// whatever they are indented by.
func environment(userData string) map[string]string {
	env := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(userData))
	lines.Buffer(nil, len(userData)+1)
	for lines.Scan() {
		key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if ok && strings.HasPrefix(key, "DRONE_") && !strings.ContainsAny(key, " \t\"':") {
			env[key] = value
		}
	}
	return env
}
