package state

import "time"

// Host is a machine as it is reached over SSH.
type Host struct {
	Server  string // name of the server
	Address string // host name or IP address, without port
}

// AgentLook is what a look at a machine shows of its setup and its runner.
type AgentLook struct {
	CloudInit string // as cloud-init status says it: not started, running, done, error, degraded; empty: unknown
	Detail    string // how far the setup is, or what went wrong, in words; may be empty
	Container string // of the runner, as docker says it: created, running, restarting, exited, ...; empty: there is none
	Healthy   bool   // the runner answers its health check
}

// Ready says whether the machine is set up and its runner takes work.
func (l AgentLook) Ready() bool {
	return (l.CloudInit == "done" || l.CloudInit == "degraded") && l.Container == "running" && l.Healthy
}

// Gone says whether no runner is at work on the machine: it has ended, or was
// never started.
func (l AgentLook) Gone() bool {
	return l.Container == "" || l.Container == "exited" || l.Container == "dead"
}

// Agent is what is known of the runner on a server's machine. Without SSH
// nothing of it is.
type Agent struct {
	Setup       string    // how far the machine's setup is, in words; empty: done, or not begun
	Active      time.Time // the device has been active since
	Reached     time.Time // the machine first answered
	Told        time.Time // its runner was told to take no more work; zero: it was not
	Drained     time.Time // its runner had ended by then, after it was told; zero: it may be at work
	Unreachable time.Time // the machine has not answered since; zero: it does
	Repaired    time.Time // its runner was last started anew
}
