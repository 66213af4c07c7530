package simulator

import (
	"fmt"
	"strings"
	"time"
)

// finishSetup lets cloud-init come to its end on a device, and the runner's
// container start if all went well.
func (w *World) finishSetup(d *Device) {
	at := d.setUp
	d.setUp = time.Time{}
	w.dirty = true
	env := environment(d.UserData)
	if d.setupFails || len(env) == 0 {
		return
	}
	d.runner = newRunner(d, env)
	d.runner.refused = d.runner.name == "" || env["DRONE_RPC_SECRET"] != w.config.RPCSecret
	d.runner.greet(at)
}

// setupError is what cloud-init says where it fails.
const setupError = "Failed to install packages: ['docker.io']"

// cloudInit is the status of cloud-init: running, done or error.
func (d *Device) cloudInit() string {
	switch {
	case !d.setUp.IsZero():
		return "running"
	case d.setupFails:
		return "error"
	}
	return "done"
}

// cloudInitStatus is what cloud-init status --long prints, in the format of
// its releases since 23.4 (cloudinit/cmd/status.py), and its exit status.
func (d *Device) cloudInitStatus() (text string, code int) {
	status := d.cloudInit()
	extended, errors := status, " []"
	if status == "error" {
		extended, errors, code = "error - done", "\n\t- "+setupError, 1
	}
	return fmt.Sprintf("status: %s\nextended_status: %s\nboot_status_code: enabled-by-generator\n"+
		"last_update: %s\ndetail: DataSourceEc2Local\nerrors:%s\nrecoverable_errors: {}\n",
		status, extended, d.active.UTC().Format("Mon, 02 Jan 2006 15:04:05 +0000"), errors), code
}

// setupLines is what cloud-init writes to its log, step by step.
var setupLines = []string{
	"Cloud-init v. 24.4 running 'init-local'",
	"Cloud-init v. 24.4 running 'init'",
	"Cloud-init v. 24.4 running 'modules:config'",
	"Get:1 http://archive.ubuntu.com/ubuntu noble InRelease [256 kB]",
	"Setting up docker.io",
	"Unable to find image 'drone/drone-runner-docker:1' locally",
	"1: Pulling from drone/drone-runner-docker",
	"Status: Downloaded newer image for drone/drone-runner-docker:1",
}

// setupLog is /var/log/cloud-init-output.log as far as it is written.
func (d *Device) setupLog(now time.Time, setup time.Duration) []string {
	switch d.cloudInit() {
	case "running":
		share := float64(now.Sub(d.active)) / float64(max(setup, 1))
		return setupLines[:1+min(int(share*float64(len(setupLines))), len(setupLines)-1)]
	case "error":
		return append(setupLines[:4:4], "E: Unable to locate package docker.io", setupError,
			"Cloud-init v. 24.4 finished. Datasource DataSourceEc2Local. Up with errors")
	}
	return append(setupLines[:len(setupLines):len(setupLines)], "Cloud-init v. 24.4 finished. Datasource DataSourceEc2Local.")
}

// lastLines cuts a log to its last n lines; n below zero: all of it.
func lastLines(lines []string, n int) string {
	if n >= 0 {
		lines = lines[max(len(lines)-n, 0):]
	}
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}
