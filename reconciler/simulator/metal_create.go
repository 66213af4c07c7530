package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// createRequest is the body of POST /projects/{id}/devices.
type createRequest struct {
	Facility    []string `json:"facility,omitempty"`
	Metro       string   `json:"metro,omitempty"`
	Plan        string   `json:"plan"`
	OS          string   `json:"operating_system"`
	Hostname    string   `json:"hostname,omitempty"`
	Description string   `json:"description,omitempty"`
	Billing     string   `json:"billing_cycle,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	UserData    string   `json:"userdata,omitempty"`
	Reservation string   `json:"hardware_reservation_id,omitempty"`
	ProjectKeys []string `json:"project_ssh_keys,omitempty"`
	UserKeys    []string `json:"user_ssh_keys,omitempty"`
	Locked      bool     `json:"locked,omitempty"`
	AlwaysPXE   bool     `json:"always_pxe,omitempty"`
	IPXEScript  string   `json:"ipxe_script_url,omitempty"`
}

// Slugs of plans, systems and places, and host names: labels of letters,
// digits and hyphens, without an underscore.
var (
	slug     = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	hostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)
)

// invalid says what is wrong with a request; empty: nothing.
func (c createRequest) invalid() []string {
	var wrong []string
	if !slug.MatchString(c.Plan) {
		wrong = append(wrong, "plan is invalid")
	}
	if !slug.MatchString(c.OS) {
		wrong = append(wrong, "operating_system is invalid")
	}
	if c.Hostname != "" && (len(c.Hostname) > 255 || !hostname.MatchString(c.Hostname)) {
		wrong = append(wrong, "hostname is invalid")
	}
	if (len(c.Facility) == 0) == (c.Metro == "") {
		wrong = append(wrong, "one of facility and metro must be given")
	}
	for _, place := range c.places() {
		if !slug.MatchString(place) {
			wrong = append(wrong, fmt.Sprintf("%s is not a valid place", place))
		}
	}
	if !slices.Contains([]string{"", "hourly", "monthly"}, c.Billing) {
		wrong = append(wrong, "billing_cycle is invalid")
	}
	return wrong
}

// places lists where the device may stand, in order of preference.
func (c createRequest) places() []string {
	if c.Metro != "" {
		return []string{strings.ToLower(c.Metro)}
	}
	return c.Facility
}

// place picks the first place with a free machine; false: there is none.
func (c createRequest) place(none []string) (facility, metro string, ok bool) {
	for _, p := range c.places() {
		if slices.Contains(none, p) {
			continue
		}
		switch {
		case c.Metro != "":
			return p + "1", p, true
		case p == "any":
			p = "ewr1"
		}
		return p, strings.TrimRight(p, "0123456789"), true
	}
	return "", "", false
}

// full is the API's message when no place has a free machine.
func (c createRequest) full() string {
	kind := "facility"
	if c.Metro != "" {
		kind = "metro"
	}
	return fmt.Sprintf("The %s %s has no provisionable %s servers matching your criteria.",
		kind, strings.Join(c.places(), ", "), c.Plan)
}

func (w *World) postDevice(rw http.ResponseWriter, r *http.Request) {
	var request createRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		metalError(rw, http.StatusBadRequest, "Malformed request body")
		return
	}
	if wrong := request.invalid(); len(wrong) > 0 {
		metalError(rw, http.StatusUnprocessableEntity, wrong...)
		return
	}
	var c *create
	var failed, badGateway bool
	w.do(func(now time.Time) {
		if failed = w.strikes(w.faults.CreateError); failed {
			return
		}
		if c = w.promise(request, now); c != nil {
			badGateway = w.strikes(w.faults.BadGateway)
		}
	})
	if failed {
		metalError(rw, http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError))
		return
	}
	if c == nil {
		metalError(rw, http.StatusUnprocessableEntity, request.full())
		return
	}
	select {
	case <-c.done:
	case <-r.Context().Done(): // the device comes into being all the same
		return
	}
	if badGateway {
		metalError(rw, http.StatusBadGateway, http.StatusText(http.StatusBadGateway))
		return
	}
	w.answer(rw, http.StatusCreated, c.device)
}

// Order is a device that somebody else orders: by hand, for example.
type Order struct {
	Hostname string
	Tags     []string
	UserData string
}

// Order makes a device at once, beside all that is ordered over the API, and
// returns its id.
func (w *World) Order(o Order) (id string) {
	w.do(func(now time.Time) {
		d := &Device{
			ProjectID: w.config.ProjectID, Hostname: o.Hostname, Tags: o.Tags, Plan: "c3.small.x86", OS: "ubuntu_24_04",
			Facility: "ewr1", Metro: "ewr", Billing: "hourly", UserData: o.UserData,
		}
		w.commit(d, now)
		id = d.ID
	})
	return id
}

// promise accepts a create, to be committed now or late; nil: there is no
// machine for it.
func (w *World) promise(request createRequest, now time.Time) *create {
	facility, metro, ok := request.place(w.faults.NoCapacity)
	if !ok {
		return nil
	}
	c := &create{at: now.Add(w.lateness()), done: make(chan struct{}), device: &Device{
		ProjectID: w.config.ProjectID, Hostname: request.Hostname, Description: request.Description,
		Tags: request.Tags, Plan: request.Plan, OS: request.OS, Facility: facility, Metro: metro,
		Billing: request.Billing, UserData: request.UserData, Reservation: request.Reservation,
		SSHKeys: slices.Concat(request.ProjectKeys, request.UserKeys),
		locked:  request.Locked, alwaysPXE: request.AlwaysPXE, ipxeScript: request.IPXEScript,
		fails: w.strikes(w.faults.DeviceFails),
	}}
	if c.device.Hostname == "" {
		c.device.Hostname = strings.ReplaceAll(request.Plan, "_", "-") + "-device"
	}
	if c.device.Billing == "" {
		c.device.Billing = "hourly"
	}
	if c.device.Reservation == "next-available" {
		c.device.Reservation = w.newID()
	}
	w.late = append(w.late, c)
	return c
}
