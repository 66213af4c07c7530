package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// How many items of a history are answered at once.
const (
	defaultLimit = 100
	maxLimit     = 500
)

// RunStore reads runs.
type RunStore interface {
	// Runs returns the runs that the filter selects, newest first.
	Runs(ctx context.Context, filter state.RunFilter) ([]state.Run, error)
	// Run returns a run; NotFound.
	Run(ctx context.Context, id int64) (state.Run, error)
	// RunPlan returns the plan of a run, its secrets masked; NotFound when it
	// made none.
	RunPlan(ctx context.Context, id int64) (state.Plan, error)
	// RunLog returns what terraform said in the course of a run.
	RunLog(ctx context.Context, id int64) (string, error)
}

var runPhases = []state.RunPhase{
	state.RunPlanning, state.RunPlanned, state.RunRefused, state.RunApplying,
	state.RunApplied, state.RunErrored, state.RunInterrupted, state.RunDiscarded,
}

// listRuns answers the newest runs first; the id of the last one as before
// leads to the next page.
func (a *API) listRuns(c *gin.Context) (any, error) {
	before, limit, err := page(c)
	if err != nil {
		return nil, err
	}
	filter := state.RunFilter{Stack: c.Query("stack"), Phase: state.RunPhase(c.Query("phase")), Before: before, Limit: limit}
	if filter.Phase != "" && !slices.Contains(runPhases, filter.Phase) {
		return nil, state.Errorf(state.Invalid, "phase=%s: wanted is one of %v", filter.Phase, runPhases)
	}
	runs, err := a.store.Runs(c.Request.Context(), filter)
	for i := range runs {
		runs[i] = withLists(runs[i])
	}
	return list(runs), err
}

// run is a run with its log.
type run struct {
	state.Run
	Log string `json:"log"`
}

func (a *API) showRun(c *gin.Context) (any, error) {
	id, err := runID(c)
	if err != nil {
		return nil, err
	}
	found, err := a.store.Run(c.Request.Context(), id)
	if err != nil {
		return nil, err
	}
	log, err := a.store.RunLog(c.Request.Context(), id)
	return run{Run: withLists(found), Log: log}, err
}

// decideRun has a person decide about a run that waits, and answers the run.
func (a *API) decideRun(what string, decide func(ctx context.Context, run int64, by string) error) func(*gin.Context) (any, error) {
	return func(c *gin.Context) (any, error) {
		id, err := runID(c)
		if err != nil {
			return nil, err
		}
		if err := decide(c.Request.Context(), id, c.GetString(loginKey)); err != nil {
			return nil, err
		}
		a.audit(c, what, "run", id)
		return a.showRun(c)
	}
}

// showPlan answers a plan as terraform prints it, or, with ?format=json, as
// terraform show -json does.
func (a *API) showPlan(c *gin.Context) {
	id, err := runID(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	plan, err := a.store.RunPlan(c.Request.Context(), id)
	switch format := c.DefaultQuery("format", "text"); {
	case err != nil:
		a.fail(c, err)
	case format == "text":
		c.Data(http.StatusOK, "text/plain; charset=utf-8", []byte(plan.Text))
	case format == "json":
		c.Data(http.StatusOK, "application/json; charset=utf-8", plan.JSON)
	default:
		a.fail(c, state.Errorf(state.Invalid, "format=%s: wanted is text or json", format))
	}
}

// withLists gives a run the lists that it lacks.
func withLists(r state.Run) state.Run {
	r.Creates, r.Deletes, r.Forced, r.Keeps = list(r.Creates), list(r.Deletes), list(r.Forced), list(r.Keeps)
	r.Diagnostics = list(r.Diagnostics)
	if r.Imports == nil {
		r.Imports = map[string]string{}
	}
	return r
}

// runID is the run that a path names.
func runID(c *gin.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, state.Errorf(state.NotFound, "there is no run %s: runs have whole numbers", c.Param("id"))
	}
	return id, nil
}

// page reads which part of a history is asked for: at most limit items, with
// ids below before; 0: from the newest.
func page(c *gin.Context) (before int64, limit int, err error) {
	if text := c.Query("before"); text != "" {
		before, err = strconv.ParseInt(text, 10, 64)
		if err != nil || before < 1 {
			return 0, 0, state.Errorf(state.Invalid, "before=%s: wanted is the id of an item, a whole number above 0", text)
		}
	}
	limit, err = pageLimit(c)
	return before, limit, err
}

// pageLimit reads how many items are asked for, at most.
func pageLimit(c *gin.Context) (int, error) {
	text := c.Query("limit")
	if text == "" {
		return defaultLimit, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > maxLimit {
		return 0, state.Errorf(state.Invalid, "limit=%s: wanted is a whole number from 1 to %d", text, maxLimit)
	}
	return limit, nil
}
