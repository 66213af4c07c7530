package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"hangar/state"
)

// The commands that are sent. A simulated machine knows them by their words.
const (
	cloudInitStatus = "cloud-init status --long"
	cloudInitLast   = "tail -n 1 /var/log/cloud-init-output.log"
	cloudInitLog    = "tail -n 200 /var/log/cloud-init-output.log"
	healthCheck     = "curl -fsS -m 5 http://127.0.0.1:3000/healthz"
	inspectState    = "docker inspect --format {{.State.Status}} agent"
	inspectPolicy   = "docker inspect --format {{.HostConfig.RestartPolicy.Name}} agent"
	restartNever    = "docker update --restart=no agent"
	restartAlways   = "docker update --restart=always agent"
	terminate       = "docker kill --signal=TERM agent"
	start           = "docker start agent"
	runnerLog       = "docker logs --tail 500 agent"
	runnerFollow    = "docker logs --tail 500 -f agent"
)

// errDaemon is in the error of a command of docker's when its daemon does not
// answer, though the machine does.
var errDaemon = errors.New("docker does not answer")

// docker runs a command of docker's. found is false when there is no such
// container, or no docker; every other failure is an error: that docker does
// not answer must not be taken for a runner that has ended.
func (t *turn) docker(ctx context.Context, command string) (said string, found bool, err error) {
	a, err := t.run(ctx, command)
	if err != nil || a.exit == 0 {
		return lastLines(a.stdout, 1, 200), err == nil, err
	}
	failure := strings.ToLower(a.stderr)
	switch {
	case a.missing(), strings.Contains(failure, "no such object"), strings.Contains(failure, "no such container"):
		return "", false, nil
	case strings.Contains(failure, "cannot connect to the docker daemon"), strings.Contains(failure, "failed to connect to the docker api"): // since 29
		return "", false, &state.Error{Code: state.Unavailable, Message: a.failed(command).Error(), Err: errDaemon}
	}
	return "", false, a.failed(command)
}

// container is where the runner's container is in its life, as docker says it;
// empty: there is none.
func (t *turn) container(ctx context.Context) (string, error) {
	status, found, err := t.docker(ctx, inspectState)
	if err == nil && found && (status == "" || strings.ContainsAny(status, " \t")) {
		err = fmt.Errorf("%s: not a state of a container: %q", inspectState, status)
	}
	return status, err
}

// atWork says whether a container in this state may have builds to end.
func atWork(status string) bool {
	return !state.AgentLook{Container: status}.Gone() && status != "created"
}

// listens says whether anything answers in the runner's place, be it with an
// error: a runner stops listening as soon as it is told to end, and ends when
// its builds have. said is what is wrong, where something is.
func (t *turn) listens(ctx context.Context) (listens, healthy bool, said string, err error) {
	const httpError = 22 // of curl's exit codes: the server answered, with an error
	a, err := t.run(ctx, healthCheck)
	if err != nil || a.exit == 0 {
		return err == nil, err == nil, "", err
	}
	return a.exit == httpError, false, sentence(a.stderr), nil
}
