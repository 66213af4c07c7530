package simulator

import (
	"fmt"
	"slices"
	"time"
)

// The shapes of this file are those of equinix-sdk-go, services/metalv1.

type href struct {
	Href string `json:"href"`
}

// named is the part of a facility, metro, plan, system or project that its
// readers use.
type named struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name"`
	Code string `json:"code,omitempty"`
	Slug string `json:"slug,omitempty"`
	Href string `json:"href,omitempty"`
}

func wireProject(id string) named {
	return named{ID: id, Name: "hangar", Href: "/metal/v1/projects/" + id}
}

// wireDevice is a device as the API sends it.
type wireDevice struct {
	ID          string         `json:"id"`
	ShortID     string         `json:"short_id"`
	Href        string         `json:"href"`
	Hostname    string         `json:"hostname"`
	Description string         `json:"description,omitempty"`
	State       string         `json:"state"`
	Tags        []string       `json:"tags"`
	Billing     string         `json:"billing_cycle"`
	Plan        named          `json:"plan"`
	OS          named          `json:"operating_system"`
	Facility    named          `json:"facility"`
	Metro       named          `json:"metro"`
	Project     named          `json:"project"`
	Reservation *named         `json:"hardware_reservation,omitempty"`
	IPs         []wireIP       `json:"ip_addresses"`
	Ports       []struct{}     `json:"network_ports"`
	SSHKeys     []href         `json:"ssh_keys"`
	Volumes     []href         `json:"volumes"`
	Customdata  map[string]any `json:"customdata"`
	Locked      bool           `json:"locked"`
	AlwaysPXE   bool           `json:"always_pxe"`
	IPXEScript  string         `json:"ipxe_script_url,omitempty"`
	Password    string         `json:"root_password,omitempty"`
	SOS         string         `json:"sos"`
	User        string         `json:"user"`
	UserData    string         `json:"userdata,omitempty"`
	Created     time.Time      `json:"created_at"`
	Updated     time.Time      `json:"updated_at"`
}

// wireIP is one address of a device.
type wireIP struct {
	Address    string `json:"address"`
	Gateway    string `json:"gateway"`
	Family     int    `json:"address_family"`
	Cidr       int    `json:"cidr"`
	Public     bool   `json:"public"`
	Management bool   `json:"management"`
	Enabled    bool   `json:"enabled"`
}

func (d *Device) wire() wireDevice {
	w := wireDevice{
		ID: d.ID, ShortID: d.ID[:8], Href: "/metal/v1/devices/" + d.ID,
		Hostname: d.Hostname, Description: d.Description, State: d.State,
		Tags: slices.Concat([]string{}, d.Tags), Billing: d.Billing,
		Plan:     named{Name: d.Plan, Slug: d.Plan},
		OS:       named{Name: d.OS, Slug: d.OS},
		Facility: named{Name: d.Facility, Code: d.Facility},
		Metro:    named{Name: d.Metro, Code: d.Metro},
		Project:  wireProject(d.ProjectID),
		IPs:      d.addresses(), Ports: []struct{}{}, SSHKeys: []href{}, Volumes: []href{}, Customdata: map[string]any{},
		Locked: d.locked, AlwaysPXE: d.alwaysPXE, IPXEScript: d.ipxeScript,
		Password: "Simulated-" + d.ID[:8], SOS: d.sosHost(), User: "root", UserData: d.UserData,
		Created: d.Created.UTC().Truncate(time.Second), Updated: d.Updated.UTC().Truncate(time.Second),
	}
	if d.Reservation != "" {
		w.Reservation = &named{ID: d.Reservation, Href: "/metal/v1/hardware-reservations/" + d.Reservation}
	}
	for _, id := range d.SSHKeys {
		w.SSHKeys = append(w.SSHKeys, href{"/metal/v1/ssh-keys/" + id})
	}
	return w
}

// addresses lists a device's addresses. It has none before it is active.
func (d *Device) addresses() []wireIP {
	if d.Address == "" {
		return []wireIP{}
	}
	ip := wireIP{Management: true, Enabled: true}
	public, v6, private := ip, ip, ip
	public.Address, public.Gateway, public.Family, public.Cidr, public.Public = d.Address, "127.0.0.1", 4, 31, true
	v6.Address, v6.Gateway, v6.Family, v6.Cidr, v6.Public = fmt.Sprintf("2604:1380::%x", d.serial+1), "2604:1380::1", 6, 127, true
	private.Address, private.Gateway, private.Family, private.Cidr = d.PrivateIP, "10.99.0.1", 4, 31
	return []wireIP{public, v6, private}
}
