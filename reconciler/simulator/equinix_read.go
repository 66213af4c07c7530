package simulator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hangar/reconciler/simulator/plugin"
)

// attributes is what equinix_metal_device keeps of a device. An attribute
// that is set in the state only is not among them.
func (d wireDevice) attributes() plugin.Object {
	return plugin.Object{
		"id": d.ID, "hostname": d.Hostname, "plan": d.Plan.Slug, "operating_system": d.OS.Slug,
		"deployed_facility": d.Facility.Code, "facilities": []any{d.Facility.Code}, "metro": d.Metro.Code,
		"state": d.State, "billing_cycle": d.Billing, "locked": d.Locked, "always_pxe": d.AlwaysPXE,
		"created": d.Created.Format(time.RFC3339), "updated": d.Updated.Format(time.RFC3339),
		"ipxe_script_url": d.IPXEScript, "root_password": d.Password, "project_id": d.Project.ID,
		"sos_hostname": d.SOS, "deployed_hardware_reservation_id": d.reservation(), "tags": anys(d.Tags),
		"ssh_key_ids": d.keyIDs(), "network": d.network(), "network_type": bareNetwork, "ports": []any{},
		"access_public_ipv4": d.address(4, true), "access_private_ipv4": d.address(4, false),
		"access_public_ipv6": d.address(6, true),
	}
}

// bareNetwork is what the real provider makes of a device without ports.
const bareNetwork = "layer2-individual"

// record is what the list of equinix_metal_devices keeps of a device.
func (d wireDevice) record() plugin.Object {
	return plugin.Object{
		"device_id": d.ID, "hostname": d.Hostname, "project_id": d.Project.ID,
		"facility": d.Facility.Code, "metro": d.Metro.Code, "plan": d.Plan.Slug, "operating_system": d.OS.Slug,
		"state": d.State, "billing_cycle": d.Billing, "ipxe_script_url": d.IPXEScript, "always_pxe": d.AlwaysPXE,
		"root_password": d.Password, "tags": anys(d.Tags), "sos_hostname": d.SOS,
		"access_public_ipv4": d.address(4, true), "access_private_ipv4": d.address(4, false),
		"access_public_ipv6": d.address(6, true), "network": d.network(), "ssh_key_ids": d.keyIDs(), "ports": []any{},
		"hardware_reservation_id": "", "network_type": "", "storage": "", // the real provider leaves them out
	}
}

func (d wireDevice) reservation() any {
	if d.Reservation == nil {
		return nil
	}
	return d.Reservation.ID
}

func (d wireDevice) keyIDs() []any {
	ids := []any{}
	for _, key := range d.SSHKeys {
		ids = append(ids, path.Base(key.Href))
	}
	return ids
}

func (d wireDevice) network() []any {
	networks := []any{}
	for _, ip := range d.IPs {
		networks = append(networks, plugin.Object{
			"address": ip.Address, "gateway": ip.Gateway, "family": float64(ip.Family), "cidr": float64(ip.Cidr), "public": ip.Public,
		})
	}
	return networks
}

// address is the device's management address of a kind; empty: it has none.
func (d wireDevice) address(family int, public bool) string {
	for _, ip := range d.IPs {
		if ip.Management && ip.Family == family && ip.Public == public {
			return ip.Address
		}
	}
	return ""
}

// metalDevices is the data source equinix_metal_devices: all devices of a
// project that match the API's own search, filtered here after all of them
// were fetched.
type metalDevices struct{ *equinix }

func (m metalDevices) Read(ctx context.Context, config plugin.Object) (plugin.Object, error) {
	project := text(config["project_id"])
	if project == "" {
		return nil, errors.New("one of project_id or organization_id must be specified")
	}
	query := url.Values{"include": {deviceIncludes}}
	if search := text(config["search"]); search != "" {
		query.Set("search", search)
	}
	records, err := m.list(ctx, project, query)
	if err != nil {
		// The real provider goes on with a list that it has not got.
		panic(fmt.Sprintf("runtime error: invalid memory address or nil pointer dereference (no devices: %v)", err))
	}
	for _, f := range listOf(config["filter"]) {
		if records, err = filtered(records, f.(plugin.Object)); err != nil {
			return nil, err
		}
	}
	if err := sorted(records, listOf(config["sort"])); err != nil {
		return nil, err
	}
	found := plugin.Object{}
	for name, value := range config {
		found[name] = value
	}
	found["id"] = "terraform-" + strings.ReplaceAll(time.Now().UTC().Format("20060102150405.0000"), ".", "") + "00000001"
	devices := []any{}
	for _, r := range records {
		devices = append(devices, r)
	}
	found["devices"] = devices
	return found, nil
}

// list fetches all pages, ten devices each: the real provider asks for no
// other size.
func (m metalDevices) list(ctx context.Context, project string, query url.Values) ([]plugin.Object, error) {
	var records []plugin.Object
	for page := 1; ; page++ {
		query.Set("page", strconv.Itoa(page))
		var list struct {
			Devices []wireDevice `json:"devices"`
			Meta    wireMeta     `json:"meta"`
		}
		address := "/projects/" + url.PathEscape(project) + "/devices?" + query.Encode()
		if err := m.client.call(ctx, http.MethodGet, address, nil, &list); err != nil {
			return nil, err
		}
		for _, d := range list.Devices {
			records = append(records, d.record())
		}
		if list.Meta.LastPage <= list.Meta.Current {
			return records, nil
		}
	}
}

// filtered keeps the records that pass a filter block: one of its values
// matches the attribute, or with all = true every one does.
func filtered(records []plugin.Object, filter plugin.Object) ([]plugin.Object, error) {
	attribute := text(filter["attribute"])
	var wanted []func(have any) bool
	for _, value := range texts(filter["values"]) {
		matches, err := matcher(text(filter["match_by"]), value)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, matches)
	}
	var kept []plugin.Object
	for _, r := range records {
		have, ok := r[attribute]
		if !ok {
			return nil, fmt.Errorf("field '%s' does not exist in record schema", attribute)
		}
		list, isList := have.([]any)
		if !isList {
			list = []any{have}
		}
		n := 0
		for _, matches := range wanted {
			if slices.ContainsFunc(list, matches) {
				n++
			}
		}
		if all := filter["all"] == true; all && n == len(wanted) || !all && n > 0 {
			kept = append(kept, r)
		}
	}
	return kept, nil
}

// matcher makes the comparison that a filter's match_by names.
func matcher(matchBy, want string) (func(have any) bool, error) {
	switch matchBy {
	case "", "in":
		return func(have any) bool { return fmt.Sprint(have) == want }, nil
	case "substring":
		return func(have any) bool { return strings.Contains(fmt.Sprint(have), want) }, nil
	case "re":
		re, err := regexp.Compile(want)
		if err != nil {
			return nil, fmt.Errorf("unable to parse value as regular expression: %s: %w", want, err)
		}
		return func(have any) bool { return re.MatchString(fmt.Sprint(have)) }, nil
	}
	return nil, fmt.Errorf("match_by %q: records of devices hold no numbers to compare", matchBy)
}

// sorted orders the records by the sort blocks, the first one first.
func sorted(records []plugin.Object, blocks []any) error {
	for _, b := range slices.Backward(blocks) {
		block := b.(plugin.Object)
		attribute := text(block["attribute"])
		descending := text(block["direction"]) == "desc"
		for _, r := range records {
			if _, ok := r[attribute]; !ok {
				return fmt.Errorf("field '%s' does not exist in record schema", attribute)
			}
		}
		slices.SortStableFunc(records, func(a, b plugin.Object) int {
			order := strings.Compare(fmt.Sprint(a[attribute]), fmt.Sprint(b[attribute]))
			if descending {
				return -order
			}
			return order
		})
	}
	return nil
}
