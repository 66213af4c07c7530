package api

import (
	"context"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// DecisionStore reads what was decided, and whether deciding is paused.
type DecisionStore interface {
	// Decisions returns at most limit decisions with ids below before (0: from
	// the newest), newest first.
	Decisions(ctx context.Context, before int64, limit int) ([]state.Decision, error)
	Paused(ctx context.Context) (bool, error)
}

// listDecisions answers the newest decisions first, paged as runs are.
func (a *API) listDecisions(c *gin.Context) (any, error) {
	before, limit, err := page(c)
	if err != nil {
		return nil, err
	}
	decisions, err := a.store.Decisions(c.Request.Context(), before, limit)
	for i, d := range decisions {
		d.Pools, d.Servers, d.Unmatched = list(d.Pools), list(d.Servers), list(d.Unmatched)
		for j := range d.Unmatched {
			d.Unmatched[j].Stages = list(d.Unmatched[j].Stages)
		}
		decisions[i] = d
	}
	return list(decisions), err
}
