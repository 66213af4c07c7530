package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Drone serves the part of the simulated Drone server's REST API that an
// autoscaler asks: /api/queue, /api/user, /version, /healthz; and the ping of
// its runners.
func (w *World) Drone() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("OK")) })
	mux.HandleFunc("GET /version", func(rw http.ResponseWriter, _ *http.Request) {
		writeJSON(rw, http.StatusOK, map[string]string{"version": "2.25.0"})
	})
	mux.HandleFunc("GET /api/user", w.droneUser)
	mux.HandleFunc("GET /api/users/{login}", w.droneUserByName)
	mux.HandleFunc("GET /api/queue", w.droneQueue)
	mux.HandleFunc("POST /rpc/v2/ping", func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Drone-Token") != w.config.RPCSecret {
			rw.WriteHeader(http.StatusUnauthorized)
		}
	})
	mux.HandleFunc("/", func(rw http.ResponseWriter, _ *http.Request) { droneError(rw, http.StatusNotFound) })
	return mux
}

// droneRole tells an admin's request from a user's and from a stranger's.
func (w *World) droneRole(r *http.Request) (known, admin bool) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token == w.config.ServerToken || token == w.config.UserToken, token == w.config.ServerToken
}

func (w *World) droneUser(rw http.ResponseWriter, r *http.Request) {
	known, admin := w.droneRole(r)
	if !known {
		droneError(rw, http.StatusUnauthorized)
		return
	}
	user := droneUsers[0]
	if !admin {
		user = droneUsers[1]
	}
	writeJSON(rw, http.StatusOK, user)
}

// droneUsers are the owners of the two tokens: an admin, and who is none.
var droneUsers = []droneUser{
	{ID: 1, Login: "root", Machine: true, Admin: true, Active: true},
	{ID: 2, Login: "octocat", Email: "octocat@example.com", Active: true},
}

func (w *World) droneUserByName(rw http.ResponseWriter, r *http.Request) {
	known, admin := w.droneRole(r)
	i := slices.IndexFunc(droneUsers, func(u droneUser) bool { return u.Login == r.PathValue("login") })
	switch {
	case !known:
		droneError(rw, http.StatusUnauthorized)
	case !admin:
		droneError(rw, http.StatusForbidden)
	case i < 0:
		droneError(rw, http.StatusNotFound)
	default:
		writeJSON(rw, http.StatusOK, droneUsers[i])
	}
}

func (w *World) droneQueue(rw http.ResponseWriter, r *http.Request) {
	known, admin := w.droneRole(r)
	switch {
	case !known:
		droneError(rw, http.StatusUnauthorized)
		return
	case !admin:
		droneError(rw, http.StatusForbidden)
		return
	}
	queue := []droneStage{}
	w.do(func(time.Time) {
		for _, s := range w.stages {
			queue = append(queue, s.wire())
		}
	})
	writeJSON(rw, http.StatusOK, queue)
}

// droneUser is a user as Drone 2.25 sends it.
type droneUser struct {
	ID        int64  `json:"id"`
	Login     string `json:"login"`
	Email     string `json:"email"`
	Machine   bool   `json:"machine"`
	Admin     bool   `json:"admin"`
	Active    bool   `json:"active"`
	Avatar    string `json:"avatar"`
	Syncing   bool   `json:"syncing"`
	Synced    int64  `json:"synced"`
	Created   int64  `json:"created"`
	Updated   int64  `json:"updated"`
	LastLogin int64  `json:"last_login"`
}

// droneStage is a stage as Drone 2.25 sends it.
type droneStage struct {
	ID        int64             `json:"id"`
	RepoID    int64             `json:"repo_id"`
	BuildID   int64             `json:"build_id"`
	Number    int               `json:"number"`
	Name      string            `json:"name"`
	Kind      string            `json:"kind,omitempty"`
	Type      string            `json:"type,omitempty"`
	Status    string            `json:"status"`
	ErrIgnore bool              `json:"errignore"`
	ExitCode  int               `json:"exit_code"`
	Machine   string            `json:"machine,omitempty"`
	OS        string            `json:"os"`
	Arch      string            `json:"arch"`
	Variant   string            `json:"variant,omitempty"`
	Kernel    string            `json:"kernel,omitempty"`
	Limit     int               `json:"limit,omitempty"`
	Throttle  int               `json:"throttle,omitempty"`
	Started   int64             `json:"started"`
	Stopped   int64             `json:"stopped"`
	Created   int64             `json:"created"`
	Updated   int64             `json:"updated"`
	Version   int64             `json:"version"`
	OnSuccess bool              `json:"on_success"`
	OnFailure bool              `json:"on_failure"`
	Labels    map[string]string `json:"labels,omitempty"`
}

func (s *stage) wire() droneStage {
	d := droneStage{
		ID: s.ID, RepoID: s.RepoID, BuildID: s.buildID, Number: 1, Name: s.Name, Kind: s.Kind, Type: s.Type,
		Status: "pending", Machine: s.Machine, OS: s.OS, Arch: s.Arch, Variant: s.Variant, Kernel: s.Kernel,
		Limit: s.Limit, Throttle: s.Throttle, Created: s.Created.Unix(), Updated: s.updated.Unix(),
		Version: s.version, OnSuccess: true, Labels: s.Labels,
	}
	if s.Running {
		d.Status, d.Started = "running", s.started.Unix()
	}
	return d
}

func droneError(rw http.ResponseWriter, status int) {
	writeJSON(rw, status, map[string]string{"message": http.StatusText(status)})
}

func writeJSON(rw http.ResponseWriter, status int, body any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(body) // the client has gone: nobody to tell
}
