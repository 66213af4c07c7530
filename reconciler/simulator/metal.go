package simulator

import (
	"net/http"
	"time"
)

// maxBody bounds the requests that the Metal API reads; user data is the
// largest part of one.
const maxBody = 1 << 20

// Metal serves the simulated Equinix Metal API under /metal/v1: the project,
// its devices, and which places and plans there are (https://deploy.equinix.com/developers/api/metal/).
func (w *World) Metal() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metal/v1/projects/{id}", w.inProject(w.getProject))
	mux.HandleFunc("GET /metal/v1/projects/{id}/bgp-config", w.inProject(func(rw http.ResponseWriter, _ *http.Request) {
		writeJSON(rw, http.StatusOK, struct{}{}) // there is none
	}))
	mux.HandleFunc("GET /metal/v1/facilities", listed(catalogue{Facilities: offers("f", "ewr1", "sjc1", "ams1", "nrt1", "dc13")}))
	mux.HandleFunc("GET /metal/v1/locations/metros", listed(catalogue{Metros: offers("m", "ny", "sv", "am", "ty", "dc")}))
	mux.HandleFunc("GET /metal/v1/plans", listed(catalogue{Plans: offers("p", "baremetal_0", "c3.small.x86", "c3.medium.x86", "m3.small.x86", "c2.large.arm")}))
	mux.HandleFunc("GET /metal/v1/projects/{id}/devices", w.inProject(w.listDevices))
	mux.HandleFunc("POST /metal/v1/projects/{id}/devices", w.inProject(w.postDevice))
	mux.HandleFunc("GET /metal/v1/devices/{id}", w.getDevice)
	mux.HandleFunc("PUT /metal/v1/devices/{id}", w.putDevice)
	mux.HandleFunc("DELETE /metal/v1/devices/{id}", w.deleteDevice)
	mux.HandleFunc("/", notFound)
	return w.guarded(mux)
}

// guarded checks the key, and lets those faults happen that any call may
// meet.
func (w *World) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var slow time.Duration
		status := 0
		w.do(func(time.Time) { slow, status = w.ambush() })
		if slow > 0 {
			select {
			case <-time.After(slow):
			case <-r.Context().Done():
				return
			}
		}
		switch {
		case status != 0:
			metalError(rw, status, http.StatusText(status))
		case r.Header.Get("X-Auth-Token") != w.config.APIKey:
			writeJSON(rw, http.StatusUnauthorized, map[string]string{"error": "Invalid authentication token"})
		default:
			r.Body = http.MaxBytesReader(rw, r.Body, maxBody)
			next.ServeHTTP(rw, r)
		}
	})
}

// ambush decides which fault a call meets before anything is done: by how
// long it is held up, and the status that it is answered with; zero: none.
func (w *World) ambush() (slow time.Duration, status int) {
	if w.strikes(w.faults.Slow) {
		slow = w.faults.SlowBy
	}
	switch {
	case w.faults.Denied:
		status = http.StatusForbidden
	case w.strikes(w.faults.ServerError):
		status = http.StatusInternalServerError
	case w.strikes(w.faults.RateLimited):
		status = http.StatusTooManyRequests
	}
	return slow, status
}

// inProject refuses the projects that do not exist.
func (w *World) inProject(next http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != w.config.ProjectID {
			notFound(rw, r)
			return
		}
		next(rw, r)
	}
}

func (w *World) getProject(rw http.ResponseWriter, _ *http.Request) {
	writeJSON(rw, http.StatusOK, wireProject(w.config.ProjectID))
}

// offers are things that the API lists. Machines are made of others, too.
func offers(kind string, codes ...string) []named {
	all := make([]named, len(codes))
	for i, code := range codes {
		all[i] = named{ID: kind + "-" + code, Name: code, Code: code, Slug: code}
	}
	return all
}

func listed(c catalogue) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) { writeJSON(rw, http.StatusOK, c) }
}

func notFound(rw http.ResponseWriter, _ *http.Request) {
	metalError(rw, http.StatusNotFound, "Not found")
}

func metalError(rw http.ResponseWriter, status int, messages ...string) {
	writeJSON(rw, status, map[string][]string{"errors": messages})
}
