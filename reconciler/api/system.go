package api

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

func (a *API) version(c *gin.Context) { c.JSON(http.StatusOK, a.Version) }

// healthz answers 200 while the loops are alive, else 503 and what is wrong.
func (a *API) healthz(c *gin.Context) {
	if a.Health != nil {
		if err := a.Health(); err != nil {
			answer(c, http.StatusServiceUnavailable, err.Error())
			return
		}
	}
	c.String(http.StatusOK, "OK")
}

// varz answers what drone/autoscaler's does, and as openly: nothing in it is
// about servers, nor, should it fail, about the store.
func (a *API) varz(c *gin.Context) {
	paused, err := a.store.Paused(c.Request.Context())
	if err != nil {
		a.logFailure(c, err)
		answer(c, http.StatusServiceUnavailable, "hangar's records cannot be read; its log says why")
		return
	}
	c.JSON(http.StatusOK, gin.H{"paused": paused})
}

func (a *API) pause(c *gin.Context) {
	if err := a.control.Pause(c.Request.Context(), c.GetString(loginKey)); err != nil {
		a.fail(c, err)
		return
	}
	a.audit(c, "paused")
	c.Status(http.StatusNoContent)
}

func (a *API) resume(c *gin.Context) {
	if err := a.control.Resume(c.Request.Context(), c.GetString(loginKey)); err != nil {
		a.fail(c, err)
		return
	}
	a.audit(c, "resumed")
	c.Status(http.StatusNoContent)
}

// reconcile has the queue read now.
func (a *API) reconcile(c *gin.Context) {
	a.control.Poke()
	a.audit(c, "asked to reconcile")
	c.Status(http.StatusNoContent)
}

// hook takes the events of Drone's global webhook. Who may send them is told by
// their signature.
func (a *API) hook(c *gin.Context) {
	if a.Hook == nil {
		answer(c, http.StatusNotFound, "hangar takes no events of Drone: DRONE_WEBHOOK_SECRET is not set")
		return
	}
	a.Hook.ServeHTTP(c.Writer, c.Request)
}
