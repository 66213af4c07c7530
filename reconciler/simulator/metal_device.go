package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// answer sends a device as it is now.
func (w *World) answer(rw http.ResponseWriter, status int, d *Device) {
	var body wireDevice
	w.do(func(time.Time) { body = d.wire() })
	writeJSON(rw, status, body)
}

func (w *World) getDevice(rw http.ResponseWriter, r *http.Request) {
	var d *Device
	w.do(func(time.Time) { d = w.device(r.PathValue("id")) })
	if d == nil {
		notFound(rw, r)
		return
	}
	w.answer(rw, http.StatusOK, d)
}

// updateRequest is the body of PUT /devices/{id}; what is nil stays.
type updateRequest struct {
	Hostname    *string   `json:"hostname"`
	Description *string   `json:"description"`
	Tags        *[]string `json:"tags"`
	UserData    *string   `json:"userdata"`
	Locked      *bool     `json:"locked"`
	AlwaysPXE   *bool     `json:"always_pxe"`
	IPXEScript  *string   `json:"ipxe_script_url"`
}

func (w *World) putDevice(rw http.ResponseWriter, r *http.Request) {
	var u updateRequest
	if err := json.NewDecoder(r.Body).Decode(&u); err != nil {
		metalError(rw, http.StatusBadRequest, "Malformed request body")
		return
	}
	if u.Hostname != nil && !hostname.MatchString(*u.Hostname) {
		metalError(rw, http.StatusUnprocessableEntity, "hostname is invalid")
		return
	}
	var d *Device
	w.do(func(now time.Time) {
		if d = w.device(r.PathValue("id")); d != nil {
			u.apply(d)
			d.Updated = now
			w.dirty = true
		}
	})
	if d == nil {
		notFound(rw, r)
		return
	}
	w.answer(rw, http.StatusOK, d)
}

func (u updateRequest) apply(d *Device) {
	set(&d.Hostname, u.Hostname)
	set(&d.Description, u.Description)
	set(&d.Tags, u.Tags)
	set(&d.UserData, u.UserData)
	set(&d.locked, u.Locked)
	set(&d.alwaysPXE, u.AlwaysPXE)
	set(&d.ipxeScript, u.IPXEScript)
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func (w *World) deleteDevice(rw http.ResponseWriter, r *http.Request) {
	status, message := http.StatusNoContent, ""
	w.do(func(now time.Time) {
		d := w.device(r.PathValue("id"))
		switch {
		case d == nil:
			status, message = http.StatusNotFound, "Not found"
		case w.strikes(w.faults.DeleteDenied):
			status, message = http.StatusForbidden, "You are not authorized to delete this device"
		case d.State == stateQueued || d.State == stateProvisioning:
			status, message = http.StatusUnprocessableEntity, "Cannot delete a device while it is provisioning"
		case d.State != stateDeprovisioning:
			w.remove(d, now)
		}
	})
	if message != "" {
		metalError(rw, status, message)
		return
	}
	rw.WriteHeader(status)
}

// wireMeta tells of the pages of a list.
type wireMeta struct {
	First    href  `json:"first"`
	Last     href  `json:"last"`
	Self     href  `json:"self"`
	Next     *href `json:"next"`
	Previous *href `json:"previous"`
	Total    int   `json:"total"`
	Current  int   `json:"current_page"`
	LastPage int   `json:"last_page"`
}

// The API's page sizes.
const (
	defaultPage = 10
	maxPage     = 1000
)

func (w *World) listDevices(rw http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	size := min(positive(query.Get("per_page"), defaultPage), maxPage)
	page := positive(query.Get("page"), 1)
	found := []wireDevice{}
	total := 0
	w.do(func(time.Time) {
		for _, d := range w.devices {
			if !d.found(query) {
				continue
			}
			if total >= (page-1)*size && total < page*size {
				found = append(found, d.wire())
			}
			total++
		}
	})
	writeJSON(rw, http.StatusOK, struct {
		Devices []wireDevice `json:"devices"`
		Meta    wireMeta     `json:"meta"`
	}{found, pages(r.URL, page, size, total)})
}

// pages makes the links from one page of a list to the others.
func pages(u *url.URL, page, size, total int) wireMeta {
	last := max((total+size-1)/size, 1)
	link := func(n int) href {
		query := u.Query()
		query.Set("page", strconv.Itoa(n))
		query.Set("per_page", strconv.Itoa(size))
		return href{u.Path + "?" + query.Encode()}
	}
	meta := wireMeta{
		First: link(1), Last: link(last), Self: link(page),
		Total: total, Current: page, LastPage: last,
	}
	if page < last {
		next := link(page + 1)
		meta.Next = &next
	}
	if page > 1 {
		previous := link(page - 1)
		meta.Previous = &previous
	}
	return meta
}

// found says whether the list's filters let a device through.
func (d *Device) found(query url.Values) bool {
	if tag := query.Get("tag"); tag != "" && !slices.Contains(d.Tags, tag) {
		return false
	}
	if name := query.Get("hostname"); name != "" && d.Hostname != name {
		return false
	}
	search := strings.ToLower(query.Get("search"))
	fields := append([]string{
		d.Hostname, d.Description, d.Plan, d.OS, d.Facility, d.Address, d.PrivateIP,
	}, d.Tags...)
	return search == "" || slices.ContainsFunc(fields, func(f string) bool {
		return strings.Contains(strings.ToLower(f), search)
	})
}

// positive reads a number above zero, or takes the default.
func positive(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// sosHost is where a device's serial console is reached.
func (d *Device) sosHost() string {
	return fmt.Sprintf("%s.sos.%s.platformequinix.com", d.ID, d.Facility)
}
