package drone

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/drone/drone-go/drone"

	"hangar/state"
)

const (
	queuePath = "/api/queue"
	maxQueue  = 64 << 20 // bytes; a stage takes about half a kilobyte
)

// entry is a stage as Drone's queue shows it; drone-go lacks repo_id.
type entry struct {
	drone.Stage
	RepoID int64 `json:"repo_id"`
}

var queueDenied = map[int]error{
	http.StatusUnauthorized: state.Errorf(state.Unauthorized,
		"read Drone's queue: Drone does not know the token; set DRONE_SERVER_TOKEN to the token of an admin (Drone shows it under User settings)"),
	http.StatusForbidden: state.Errorf(state.Forbidden,
		"read Drone's queue: the owner of DRONE_SERVER_TOKEN is not an admin; make that user one (drone user update --admin) or use an admin's token"),
	http.StatusNotImplemented: state.Errorf(state.Unavailable,
		"read Drone's queue: this Drone server is the open source build, which has no queue API; hangar needs the enterprise build (the image drone/drone)"),
}

var errServerToken = state.Errorf(state.Unauthorized,
	"read Drone's queue: DRONE_SERVER_TOKEN is empty, or holds a space, a line break or another character that no token has")

// Queue returns the stages that wait or run, ordered by id, as GET /api/queue
// answers them. A stage that is assigned to a machine may still be pending.
// An answer that is incomplete or not understood is an error, never a part of
// the queue. Its codes are Unauthorized, Forbidden and Unavailable.
func (c *Client) Queue(ctx context.Context) ([]state.Stage, error) {
	if !wellFormed(c.token) {
		return nil, errServerToken
	}
	var entries []*entry
	q := question{path: queuePath, token: c.token, limit: maxQueue, denied: queueDenied}
	if err := c.ask(ctx, q, &entries); err != nil {
		return nil, err
	}
	if entries == nil {
		return nil, c.unavailable(q, nil, "it answers null instead of a list")
	}
	stages := make([]state.Stage, 0, len(entries))
	seen := make(map[int64]bool, len(entries))
	for i, e := range entries {
		if flaw := e.flaw(seen); flaw != "" {
			return nil, c.unavailable(q, nil, fmt.Sprintf("entry %d of its queue %s", i, flaw))
		}
		seen[e.ID] = true
		if e.Status == drone.StatusPending || e.Status == drone.StatusRunning {
			stages = append(stages, e.stage())
		}
	}
	slices.SortFunc(stages, func(a, b state.Stage) int { return cmp.Compare(a.ID, b.ID) })
	return stages, nil
}

// flaw says what makes the entry useless for counting, or "".
func (e *entry) flaw(seen map[int64]bool) string {
	switch {
	case e == nil:
		return "is null"
	case e.ID <= 0:
		return "has no id"
	case seen[e.ID]:
		return fmt.Sprintf("repeats stage %d", e.ID)
	case e.RepoID <= 0:
		return "has no repo_id"
	case e.BuildID <= 0:
		return "has no build_id"
	case e.Status == "":
		return "has no status"
	}
	return ""
}

func (e *entry) stage() state.Stage {
	s := state.Stage{
		ID:       e.ID,
		RepoID:   e.RepoID,
		BuildID:  e.BuildID,
		Name:     e.Name,
		Kind:     e.Kind,
		Type:     e.Type,
		Running:  e.Status == drone.StatusRunning,
		Machine:  e.Machine,
		OS:       e.OS,
		Arch:     e.Arch,
		Variant:  e.Variant,
		Kernel:   e.Kernel,
		Labels:   e.Labels,
		Limit:    e.Limit,
		Throttle: e.LimitRepo,
	}
	if e.Created > 0 {
		s.Created = time.Unix(e.Created, 0).UTC()
	}
	return s
}
