package api

import (
	"context"
	"fmt"

	"github.com/gin-gonic/gin"
)

// pressedBy is the login of who pressed a button.
func pressedBy(c *gin.Context) string {
	v, _ := visitorOf(c)
	return v.Login
}

func (a *API) pressPause(c *gin.Context) (string, error) {
	err := a.control.Pause(c.Request.Context(), pressedBy(c))
	if err == nil {
		a.audit(c, "paused")
	}
	return "/ui", err
}

func (a *API) pressResume(c *gin.Context) (string, error) {
	err := a.control.Resume(c.Request.Context(), pressedBy(c))
	if err == nil {
		a.audit(c, "resumed")
	}
	return "/ui", err
}

func (a *API) pressCreate(c *gin.Context) (string, error) {
	s, err := a.control.Create(c.Request.Context(), c.PostForm("pool"), pressedBy(c))
	if err == nil {
		a.audit(c, "server asked for", "server", s.Name, "pool", s.Pool)
	}
	return "/ui/servers/" + s.Name, err
}

func (a *API) pressDestroy(c *gin.Context) (string, error) {
	name, force := c.Param("name"), c.PostForm("force") == "true"
	err := a.control.Destroy(c.Request.Context(), name, force, pressedBy(c))
	if err == nil {
		a.audit(c, "server's end asked for", "server", name, "force", force)
	}
	return "/ui/servers/" + name, err
}

func (a *API) pressApprove(c *gin.Context) (string, error) {
	return a.pressRun(c, "run approved", a.control.Approve)
}

func (a *API) pressDiscard(c *gin.Context) (string, error) {
	return a.pressRun(c, "run discarded", a.control.Discard)
}

// pressRun has a person decide about a run that waits.
func (a *API) pressRun(c *gin.Context, what string, decide func(ctx context.Context, run int64, by string) error) (string, error) {
	id, err := runID(c)
	if err != nil {
		return "", err
	}
	if err := decide(c.Request.Context(), id, pressedBy(c)); err != nil {
		return "", err
	}
	a.audit(c, what, "run", id)
	return fmt.Sprintf("/ui/runs/%d", id), nil
}
