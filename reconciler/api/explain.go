package api

import (
	"context"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// explain answers why things are as they are: all of it, or with a name what is
// about that server or, by its id, that stage.
func (a *API) explain(c *gin.Context) (any, error) {
	e, err := a.control.Explain(c.Request.Context())
	if what := c.Param("what"); err == nil && what != "" {
		e, err = a.explainOne(c.Request.Context(), e, what)
	}
	e.Pools, e.Servers, e.Stages = list(e.Pools), list(e.Servers), list(e.Stages)
	for i := range e.Servers {
		e.Servers[i].Stages = list(e.Servers[i].Stages)
	}
	return e, err
}

func (a *API) explainOne(ctx context.Context, all state.Explanation, what string) (state.Explanation, error) {
	about, ok := all.About(what)
	if ok {
		return about, nil
	}
	gone, err := a.store.Server(ctx, what)
	if state.CodeOf(err) == state.NotFound {
		return about, state.Errorf(state.NotFound, "there is no server %s, and no stage of that id waits or runs", what)
	}
	about.Servers = []state.ExplainedServer{{
		ServerDecision: state.ServerDecision{Server: gone.Name, Pool: gone.Pool, Phase: gone.Phase, Action: state.Keep, Reason: gone.Reason},
		Leave:          "it is gone",
	}}
	return about, err
}
