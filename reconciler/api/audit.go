package api

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// Auditor compares the provider's own list of machines with the records, and
// does what a person, by login, decides of them.
type Auditor interface {
	// Last returns what the newest look found.
	Last(ctx context.Context) (state.Audit, error)
	// Sweep looks now, and returns what it found.
	Sweep(ctx context.Context) (state.Audit, error)
	// Adopt looks now, and takes over the machines that are held for a decision.
	Adopt(ctx context.Context, by string) (state.Audit, error)
	// Destroy looks now, and removes them.
	Destroy(ctx context.Context, by string) (state.Audit, error)
}

// auditTime is how long a look may take: a list of thousands of machines takes
// minutes.
const auditTime = 15 * time.Minute

func (a *API) showAudit(c *gin.Context) (any, error) {
	audit, err := a.auditor.Last(c.Request.Context())
	audit.Findings = list(audit.Findings)
	return audit, err
}

// makeAudit looks now, and with ?action=adopt or destroy decides what becomes
// of machines that are held.
func (a *API) makeAudit(c *gin.Context) (any, error) {
	do := a.auditor.Sweep
	switch action := c.Query("action"); action {
	case "":
	case "adopt":
		do = func(ctx context.Context) (state.Audit, error) { return a.auditor.Adopt(ctx, c.GetString(loginKey)) }
	case "destroy":
		do = func(ctx context.Context) (state.Audit, error) { return a.auditor.Destroy(ctx, c.GetString(loginKey)) }
	default:
		return nil, state.Errorf(state.Invalid, "action=%s: wanted is adopt or destroy, or nothing to look only", action)
	}
	// Longer than other answers may take.
	if err := http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(auditTime)); err != nil {
		return nil, err
	}
	a.audit(c, "audit asked for", "action", c.Query("action"))
	ctx, cancel := context.WithTimeout(c.Request.Context(), auditTime)
	defer cancel()
	audit, err := do(ctx)
	audit.Findings = list(audit.Findings)
	return audit, err
}
