package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"hangar/state"
)

// ServerStore reads servers.
type ServerStore interface {
	// Server returns a server, a stopped one too; NotFound.
	Server(ctx context.Context, name string) (state.Server, error)
	// Servers returns all servers that are kept, stopped ones included.
	Servers(ctx context.Context) ([]state.Server, error)
	// Writes counts what was committed: as long as it is the same, so is all that
	// is read, but for the progress of servers.
	Writes() uint64
}

// server is a server as drone/autoscaler answers it and drone-go reads it
// (drone.Server), followed by what is Hangar's own. The secret and the keys,
// with which drone/autoscaler reaches the Docker daemon of its servers, do not
// exist here.
type server struct {
	ID       string      `json:"id"` // of its device; empty until it exists
	Provider string      `json:"provider"`
	State    state.Phase `json:"state"`
	Name     string      `json:"name"`
	Image    string      `json:"image"`
	Region   string      `json:"region"`
	Size     string      `json:"size"`
	Platform string      `json:"platform"` // always empty, as there
	Address  string      `json:"address"`
	Capacity int         `json:"capacity"`
	Secret   string      `json:"secret"`   // always empty
	Error    string      `json:"error"`    // what went wrong, in words
	CAKey    []byte      `json:"ca_key"`   // always null
	CACert   []byte      `json:"ca_cert"`  // always null
	TLSKey   []byte      `json:"tls_key"`  // always null
	TLSCert  []byte      `json:"tls_cert"` // always null
	Created  int64       `json:"created"`  // unix seconds, 0: not yet; likewise the next three
	Updated  int64       `json:"updated"`
	Started  int64       `json:"started"`
	Stopped  int64       `json:"stopped"`

	Pool           string    `json:"pool"`
	Stack          string    `json:"stack"`
	Reason         string    `json:"reason"` // why it is in its state, in words
	PrivateAddress string    `json:"private_address"`
	Progress       *progress `json:"progress"`     // what terraform is doing to it; null: nothing
	Condemned      bool      `json:"condemned"`    // it is to leave, and never put back to work
	Machine        string    `json:"machine"`      // Drone machine name of what runs on it
	Absent         string    `json:"absent"`       // why no device of it is thought to exist: refused, lost, missing; empty: one does, or may
	SoughtUntil    int64     `json:"sought_until"` // until when its device is looked for; 0: it is not

	// Its life, in unix seconds; 0: not yet, or not so.
	Setup       string `json:"setup"`       // how far its machine's setup is, or what is wrong there, in words
	Began       int64  `json:"began"`       // its create
	Active      int64  `json:"active"`      // its device, since
	Reached     int64  `json:"reached"`     // its machine first answered
	Told        int64  `json:"told"`        // its runner was told to take no more work
	Unreachable int64  `json:"unreachable"` // its machine has not answered since
}

type progress struct {
	Action  string `json:"action"`  // create, delete
	Elapsed int64  `json:"elapsed"` // seconds
}

func newServer(s state.Server) server {
	out := server{
		ID:       s.Device.ID,
		Provider: s.Provider,
		State:    s.Phase,
		Name:     s.Name,
		Image:    s.Image,
		Region:   s.Region,
		Size:     s.Size,
		Address:  s.Address,
		Capacity: s.Capacity,
		Error:    s.Error,
		Created:  unix(s.Created),
		Updated:  unix(s.Updated),
		Started:  unix(s.Started),
		Stopped:  unix(s.Stopped),

		Pool:           s.Pool,
		Stack:          s.Stack,
		Reason:         s.Why(),
		PrivateAddress: s.PrivateAddress,
		Condemned:      s.Condemned,
		Machine:        s.Runner(),
		Absent:         string(s.Absent),
		SoughtUntil:    unix(s.Doubt),

		Setup:       s.Setup,
		Began:       unix(s.Began),
		Active:      unix(s.Active),
		Reached:     unix(s.Reached),
		Told:        unix(s.Told),
		Unreachable: unix(s.Unreachable),
	}
	if s.Progress.Action != "" {
		out.Progress = &progress{Action: s.Progress.Action, Elapsed: int64(s.Progress.Elapsed / time.Second)}
	}
	return out
}

// unix is a time in seconds since 1970, 0 for none.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// listed is the list of all servers as it is answered, which is asked for by many
// and of a thousand servers takes a while to make. What it tells of progress may be
// a second old.
type listed struct {
	mu   sync.Mutex // one makes it, the others wait
	text []byte     // nil: it was never made
	at   uint64     // of Writes
	made time.Time
}

func (l *listed) read(ctx context.Context, store ServerStore) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := store.Writes() // what is committed from here on makes it old
	if l.text != nil && l.at == at && time.Since(l.made) < time.Second {
		return l.text, nil
	}
	made := time.Now()
	servers, err := store.Servers(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]server, len(servers))
	for i, s := range servers {
		out[i] = newServer(s)
	}
	text, err := json.Marshal(out)
	if err == nil {
		l.text, l.at, l.made = text, at, made
	}
	return text, err
}

func (a *API) listServers(c *gin.Context) {
	text, err := a.servers.read(c.Request.Context(), a.store)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Data(http.StatusOK, "application/json; charset=utf-8", text)
}

func (a *API) showServer(c *gin.Context) (any, error) {
	s, err := a.store.Server(c.Request.Context(), c.Param("name"))
	if err != nil {
		return nil, err
	}
	return newServer(s), nil
}

// createServer answers 200 and one server, as drone/autoscaler does.
func (a *API) createServer(c *gin.Context) (any, error) {
	s, err := a.control.Create(c.Request.Context(), c.Query("pool"), c.GetString(loginKey))
	if err != nil {
		return nil, err
	}
	a.audit(c, "server asked for", "server", s.Name, "pool", s.Pool)
	return newServer(s), nil
}

// destroyServer answers 200 and the server, as drone/autoscaler does: it is
// leaving, not gone.
func (a *API) destroyServer(c *gin.Context) (any, error) {
	name, force := c.Param("name"), false
	if text := c.Query("force"); text != "" {
		var err error
		if force, err = strconv.ParseBool(text); err != nil {
			return nil, state.Errorf(state.Invalid, "force=%s: neither true nor false", text)
		}
	}
	if err := a.control.Destroy(c.Request.Context(), name, force, c.GetString(loginKey)); err != nil {
		return nil, err
	}
	a.audit(c, "server's end asked for", "server", name, "force", force)
	return a.showServer(c)
}
