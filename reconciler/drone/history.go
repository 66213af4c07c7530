package drone

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/drone/drone-go/drone"

	"hangar/state"
)

// Past is a stage that has run.
type Past struct {
	state.Stage
	Ran time.Duration
}

const (
	historyPage  = 100     // repositories or builds in an answer
	historyLimit = 8 << 20 // bytes of an answer
)

// History returns the stages that ran since a time, in the order in which they
// came: of every repository (GET /api/repos, which needs an admin's token), of each
// build that was created since then. Told is called after each repository. Stages
// that never ran, or still do, are left out.
func (c *Client) History(ctx context.Context, since time.Time, told func(repo string, stages int)) ([]Past, error) {
	var past []Past
	for page := 1; ; page++ {
		var repos []*drone.Repo
		if err := c.ask(ctx, c.historical(fmt.Sprintf("/api/repos?page=%d&per_page=%d", page, historyPage)), &repos); err != nil {
			return nil, err
		}
		for _, repo := range repos {
			stages, err := c.pastOf(ctx, repo, since)
			if err != nil {
				return nil, fmt.Errorf("read the builds of %s: %w", repo.Slug, err)
			}
			past = append(past, stages...)
			told(repo.Slug, len(past))
		}
		if len(repos) < historyPage {
			break
		}
	}
	slices.SortStableFunc(past, func(a, b Past) int { return a.Created.Compare(b.Created) })
	return past, nil
}

// historical is a question for what only an admin may read.
func (c *Client) historical(path string) question {
	return question{path: path, token: c.token, limit: historyLimit, denied: map[int]error{
		http.StatusUnauthorized: state.Errorf(state.Unauthorized, "DRONE_SERVER_TOKEN is not a token of this Drone server"),
		http.StatusForbidden:    state.Errorf(state.Forbidden, "DRONE_SERVER_TOKEN is not the token of an admin of Drone"),
		http.StatusNotFound:     state.Errorf(state.NotFound, "Drone has no %s", path),
	}}
}

func (c *Client) pastOf(ctx context.Context, repo *drone.Repo, since time.Time) ([]Past, error) {
	path := "/api/repos/" + url.PathEscape(repo.Namespace) + "/" + url.PathEscape(repo.Name) + "/builds"
	var past []Past
	for page := 1; ; page++ {
		var builds []*drone.Build
		if err := c.ask(ctx, c.historical(fmt.Sprintf("%s?page=%d&per_page=%d", path, page, historyPage)), &builds); err != nil {
			return nil, err
		}
		for _, b := range builds { // the newest first
			if b.Created < since.Unix() {
				return past, nil
			}
			var build drone.Build
			if err := c.ask(ctx, c.historical(fmt.Sprintf("%s/%d", path, b.Number)), &build); state.CodeOf(err) == state.NotFound {
				continue // it was purged meanwhile
			} else if err != nil {
				return nil, err
			}
			for _, s := range build.Stages {
				if s.Started == 0 || s.Stopped <= s.Started {
					continue
				}
				past = append(past, Past{
					Stage: state.Stage{
						ID: s.ID, RepoID: repo.ID, BuildID: s.BuildID, Name: s.Name, Kind: s.Kind, Type: s.Type, OS: s.OS, Arch: s.Arch, Variant: s.Variant, Kernel: s.Kernel,
						Labels: s.Labels, Limit: s.Limit, Created: time.Unix(s.Created, 0).UTC(),
					},
					Ran: time.Duration(s.Stopped-s.Started) * time.Second,
				})
			}
		}
		if len(builds) < historyPage {
			return past, nil
		}
	}
}
