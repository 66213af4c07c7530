package simulator

import (
	"bufio"
	"slices"
	"strconv"
	"strings"
	"time"

	"hangar/state"
)

// runner is a drone-runner-docker on a device.
type runner struct {
	device   *Device
	name     string
	capacity int
	platform state.Platform
	labels   map[string]string
}

// joinRunners starts the runners of the devices that are set up.
func (w *World) joinRunners(now time.Time) {
	for _, d := range w.devices {
		if d.setUp.IsZero() || d.setUp.After(now) {
			continue
		}
		d.setUp = time.Time{}
		env := environment(d.UserData)
		// A runner without a name or with another secret is refused by the
		// server for ever; here it never shows up.
		if env["DRONE_RUNNER_NAME"] == "" || env["DRONE_RPC_SECRET"] != w.config.RPCSecret {
			continue
		}
		w.runners = append(w.runners, newRunner(d, env))
		w.dirty = true
	}
}

// newRunner reads a runner's settings as drone-runner-docker does, with its
// defaults.
func newRunner(d *Device, env map[string]string) *runner {
	r := &runner{
		device: d, name: env["DRONE_RUNNER_NAME"], capacity: 2,
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

// kill ends a device's runner. Its stages fail.
func (w *World) kill(d *Device) {
	w.runners = slices.DeleteFunc(w.runners, func(r *runner) bool { return r.device == d })
	w.stages = slices.DeleteFunc(w.stages, func(s *stage) bool {
		if s.device != d {
			return false
		}
		w.stats.Failed++
		return true
	})
}
