package api

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// LogReader reads the logs of machines.
type LogReader interface {
	// Logs writes the end of the logs of a server's machine, secrets masked; with
	// follow it goes on until ctx ends. It is Unavailable when the machine does not
	// answer.
	Logs(ctx context.Context, s state.Server, follow bool, w io.Writer) error
}

// followTime is how long one request may follow a log.
const followTime = 6 * time.Hour

// showLogs answers the logs of a server's machine as text. An error after the
// first line can only end the text.
func (a *API) showLogs(c *gin.Context) {
	ctx := c.Request.Context()
	s, err := a.store.Server(ctx, c.Param("name"))
	follow := false
	if text := c.Query("follow"); err == nil && text != "" {
		if follow, err = strconv.ParseBool(text); err != nil {
			err = state.Errorf(state.Invalid, "follow=%s: neither true nor false", text)
		}
	}
	switch {
	case err != nil:
	case a.Machines == nil:
		err = state.Errorf(state.Conflict, "machines are not reached: DRONE_AGENT_SSH=false")
	case s.Phase == state.Stopped || s.Address == "":
		err = state.Errorf(state.Conflict, "server %s (%s) has no machine that could answer", s.Name, s.Phase)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	limit := time.Minute
	if follow {
		limit = followTime
	}
	if err := http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(limit)); err != nil {
		a.fail(c, err)
		return
	}
	c.Header("Content-Type", "text/plain; charset=utf-8")
	err = a.Machines.Logs(ctx, s, follow, flushed{c.Writer})
	switch {
	case err == nil || ctx.Err() != nil:
	case c.Writer.Written():
		_, _ = io.WriteString(c.Writer, "\n"+err.Error()+"\n") // the caller has gone: nobody to tell
	default:
		a.fail(c, err)
	}
}

// flushed sends every line at once.
type flushed struct{ to gin.ResponseWriter }

// Write writes and sends.
func (f flushed) Write(p []byte) (int, error) {
	if len(p) == 0 { // which would begin the answer
		return 0, nil
	}
	n, err := f.to.Write(p)
	f.to.Flush()
	return n, err
}
