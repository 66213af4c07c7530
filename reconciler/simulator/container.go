package simulator

import (
	"fmt"
	"time"
)

// The states of the runner's container, and the restart policies, as docker
// names them.
const (
	running    = "running"
	restarting = "restarting"
	exited     = "exited"

	always = "always"
	never  = "no"
)

// restartDelay is for how long docker waits before it restarts a container
// that has exited by itself.
const restartDelay = 100 * time.Millisecond

// container is docker's container of a runner.
type container struct {
	status  string
	policy  string // of restarts
	ending  bool   // the runner has got SIGTERM
	stopped bool   // docker has sent it a signal, so that no policy restarts it
	code    int    // of its last exit
	due     time.Time
	log     []string
	printed int // lines, ever
}

// healthy says whether the runner answers its health check. It stops to with
// SIGTERM, however long its last stages run (server.go of runner-go: the
// listener closes with the poller's context).
func (c *container) healthy() bool { return c.status == running && !c.ending }

// The lines that drone-runner-docker prints when it starts and when it ends.
const (
	lineServer  = `level=info msg="starting the server" addr=":3000"`
	linePing    = `level=info msg="successfully pinged the remote server"`
	lineRefused = `level=error msg="cannot ping the remote server" error="Unauthorized"`
	linePolls   = `level=info msg="polling the remote server" capacity=%d kind=pipeline type=docker os=%s arch=%s`
	lineEnds    = `received signal, terminating process`
)

// start lets the runner's process begin. A container that runs goes on as it
// is, also when it is ending: docker start does nothing then.
func (w *World) start(r *runner, now time.Time) {
	if r.status == running {
		return
	}
	r.status, r.ending, r.stopped, r.code, r.due = running, false, false, 0, time.Time{}
	r.greet(now)
	w.dirty = true
}

// greet writes what a new process writes to its log.
func (r *runner) greet(now time.Time) {
	r.print(now, lineServer)
	if r.refused {
		r.print(now, lineRefused)
		return
	}
	r.print(now, linePing)
	r.print(now, fmt.Sprintf(linePolls, r.capacity, r.platform.OS, r.platform.Arch))
}

// maxLog bounds the lines of a log that are kept.
const maxLog = 1000

func (r *runner) print(now time.Time, line string) {
	r.log = append(r.log, fmt.Sprintf("time=%q %s", now.UTC().Format(time.RFC3339), line))
	r.printed++
	r.log = r.log[max(len(r.log)-maxLog, 0):]
}

// setPolicy is docker update --restart=POLICY.
func (w *World) setPolicy(r *runner, policy string) {
	r.policy = policy
	w.dirty = true
}

// exit ends the runner's process. What it was running is orphaned. Docker
// restarts it if it has ended by itself and the policy says so; not after
// docker kill, whatever the signal was and the policy is (ExitOnNext in
// daemon/kill.go of moby).
func (w *World) exit(r *runner, code int, now time.Time) {
	w.orphan(r)
	r.status, r.ending, r.code, r.due = exited, false, code, time.Time{}
	if r.policy == always && !r.stopped {
		r.status, r.due = restarting, now.Add(restartDelay)
	}
	w.dirty = true
}

// terminate is docker kill --signal=TERM: the runner takes no more stages, and
// ends when those that run have. A second signal ends it at once, with all it
// runs: it listens for one only (drone/signal, WithContextFunc), and Go's own
// handler exits with 2.
func (w *World) terminate(r *runner, now time.Time) {
	r.stopped = true
	switch {
	case r.status == restarting:
		r.status, r.due = exited, time.Time{}
	case r.ending:
		w.exit(r, 2, now)
	default:
		r.ending = true
		r.print(now, lineEnds)
	}
	w.dirty = true
}

// kill is docker kill --signal=KILL.
func (w *World) kill(r *runner, now time.Time) {
	r.stopped = true
	w.exit(r, 137, now)
}

// advanceRunners lets those runners exit whose last stage has ended after
// SIGTERM, and restarts the containers that are due.
func (w *World) advanceRunners(now time.Time) {
	var busy map[*Device]bool
	for _, d := range w.devices {
		switch r := d.runner; {
		case r == nil:
		case r.ending:
			if busy == nil {
				busy = w.busy()
			}
			if !busy[d] {
				w.exit(r, 0, now)
			}
		case !r.due.IsZero() && !r.due.After(now):
			w.start(r, now)
		}
	}
}

// busy tells the devices on whose runner a stage runs.
func (w *World) busy() map[*Device]bool {
	busy := map[*Device]bool{}
	for _, s := range w.taken {
		if !s.orphan {
			busy[s.device] = true
		}
	}
	return busy
}
