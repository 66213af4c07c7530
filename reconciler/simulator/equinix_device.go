package simulator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"hangar/reconciler/simulator/plugin"
)

// metalDevice is equinix_metal_device as the real provider has it
// (internal/resources/metal/device/resource.go, 4.16.1), without reinstall,
// custom partitions and the wait for a reservation.
type metalDevice struct{ *equinix }

func (metalDevice) Rules() plugin.Rules {
	return plugin.Rules{
		Defaults: map[string]any{
			"always_pxe": false, "force_detach_volumes": false, "wait_for_reservation_deprovision": false,
		},
		Replaces: deviceReplaces,
		Same:     deviceSame,
	}
}

// deviceReplaces lists the attributes that cannot change in place. User and
// custom data can when behavior.allow_changes says so.
func deviceReplaces(attribute string, planned plugin.Object) bool {
	switch attribute {
	case "project_id", "metro", "facilities", "plan", "billing_cycle", "operating_system", "hardware_reservation_id",
		"storage", "project_ssh_key_ids", "user_ssh_key_ids":
		return true
	case "user_data", "custom_data":
		for _, b := range listOf(planned["behavior"]) {
			if block, ok := b.(plugin.Object); ok && slices.Contains(texts(block["allow_changes"]), attribute) {
				return false
			}
		}
		return true
	}
	return false
}

// deviceSame knows the differences that mean nothing: the API fills in the
// place and the reservation that it chose.
func deviceSame(attribute string, prior, planned plugin.Object) bool {
	switch attribute {
	case "metro":
		return lower(planned["metro"]) == "" || lower(planned["metro"]) == lower(prior["metro"])
	case "facilities":
		wanted, chosen := texts(planned["facilities"]), text(prior["deployed_facility"])
		return len(wanted) == 0 || chosen != "" && (slices.Contains(wanted, chosen) || slices.Contains(wanted, "any"))
	case "hardware_reservation_id":
		chosen := text(prior["deployed_hardware_reservation_id"])
		return chosen != "" && chosen == text(planned["hardware_reservation_id"])
	}
	return attribute == "timeouts"
}

func (metalDevice) Validate(config plugin.Object) []*tfprotov6.Diagnostic {
	diagnostics := []*tfprotov6.Diagnostic{plugin.Warning("Deprecated Resource", metalEnds, "")}
	facilities := config["facilities"]
	for _, pair := range [][2]string{{"facilities", "metro"}, {"metro", "facilities"}} {
		if config[pair[0]] != nil && config[pair[1]] != nil && plugin.Known(config[pair[0]]) {
			d := plugin.Warning("Conflicting configuration arguments", fmt.Sprintf("%q: conflicts with %s", pair[0], pair[1]), pair[0])
			d.Severity = tfprotov6.DiagnosticSeverityError
			diagnostics = append(diagnostics, d)
		}
	}
	if facilities != nil && plugin.Known(facilities) {
		diagnostics = append(diagnostics, plugin.Warning("Argument is deprecated", useMetro, "facilities"))
	}
	return diagnostics
}

// Create orders a device and waits for it. Whatever goes wrong while it
// waits, it forgets the device, as the real provider does: the state is then
// nil, and the machine lives on.
func (m metalDevice) Create(ctx context.Context, planned plugin.Object) (plugin.Object, error) {
	if len(listOf(planned["facilities"])) == 0 && text(planned["metro"]) == "" {
		return nil, errors.New("one of facilies and metro must be configured")
	}
	start := time.Now()
	project := text(planned["project_id"])
	var made wireDevice
	err := m.client.call(ctx, http.MethodPost, "/projects/"+url.PathEscape(project)+"/devices", orderOf(planned), &made)
	if err != nil {
		// The real provider looks at the status of the answer here, also when
		// there was none: retries ran out, or terraform was interrupted.
		var answer *apiError
		if !errors.As(err, &answer) {
			panic(fmt.Sprintf("runtime error: invalid memory address or nil pointer dereference (no response: %v)", err))
		}
		if answer.status == http.StatusNotFound {
			err = fmt.Errorf("%w, make sure project %q exists", err, project)
		}
		return nil, err
	}
	timeout, err := createTimeout(planned)
	if err != nil {
		return nil, err
	}
	if err := m.await(ctx, made.ID, timeout-30*time.Second-time.Since(start)); err != nil {
		return nil, err
	}
	fresh := maps.Clone(planned)
	fresh["id"] = made.ID
	after, err := m.find(ctx, fresh)
	if err != nil {
		return settled(fresh), err // terraform keeps it, tainted
	}
	return after, nil
}

// orderOf makes the request for a device.
func orderOf(planned plugin.Object) createRequest {
	order := createRequest{
		Plan: text(planned["plan"]), OS: text(planned["operating_system"]), Hostname: text(planned["hostname"]),
		Facility: texts(planned["facilities"]), Billing: text(planned["billing_cycle"]), Tags: texts(planned["tags"]),
		UserData: text(planned["user_data"]), Reservation: text(planned["hardware_reservation_id"]),
		ProjectKeys: texts(planned["project_ssh_key_ids"]), UserKeys: texts(planned["user_ssh_key_ids"]),
		Locked: planned["locked"] == true, AlwaysPXE: planned["always_pxe"] == true,
		IPXEScript: text(planned["ipxe_script_url"]),
	}
	if metro := lower(planned["metro"]); metro != "" {
		order.Facility, order.Metro = nil, metro
	}
	return order
}

// createTimeout reads timeouts { create = ... }, 30 minutes by default.
func createTimeout(planned plugin.Object) (time.Duration, error) {
	timeouts, _ := planned["timeouts"].(plugin.Object)
	if create := text(timeouts["create"]); create != "" {
		return time.ParseDuration(create)
	}
	return 30 * time.Minute, nil
}

// await looks at a device until it is active.
func (m metalDevice) await(ctx context.Context, id string, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	last := ""
	tooLate := func() error {
		err := "timeout while waiting for state to become 'active, failed' ("
		if last != "" {
			err += fmt.Sprintf("last state: '%s', ", last)
		}
		return fmt.Errorf("%stimeout: %s)", err, timeout)
	}
	for wait, next := m.client.waits.FirstPoll, m.client.waits.NextPoll; ; wait, next = next, min(2*next, m.client.waits.MaxPoll) {
		left := time.Until(deadline)
		if err := sleep(ctx, min(wait, max(left, 0))); err != nil {
			return err
		}
		if wait > left {
			return tooLate()
		}
		var d wireDevice
		if err := m.client.call(ctx, http.MethodGet, devicePath(id), nil, &d); err != nil {
			return err
		}
		switch last = d.State; last {
		case stateActive:
			return nil
		case stateFailed:
			return fmt.Errorf("device in non-active state %q", last)
		case stateQueued, stateProvisioning, "reinstalling":
		default:
			return fmt.Errorf("unexpected state '%s', wanted target 'active, failed'. last error: %%!s(<nil>)", last)
		}
	}
}

// Read refreshes a device. 403 and 404 drop it from the state.
func (m metalDevice) Read(ctx context.Context, prior plugin.Object) (plugin.Object, error) {
	after, err := m.find(ctx, prior)
	if answered(err, http.StatusNotFound, http.StatusForbidden) {
		return nil, nil
	}
	return after, err
}

func (m metalDevice) Update(ctx context.Context, prior, planned plugin.Object) (plugin.Object, error) {
	change := map[string]any{}
	for attribute, field := range map[string]string{
		"hostname": "hostname", "description": "description", "tags": "tags", "user_data": "userdata",
		"locked": "locked", "always_pxe": "always_pxe", "ipxe_script_url": "ipxe_script_url",
	} {
		if !reflect.DeepEqual(prior[attribute], planned[attribute]) {
			change[field] = planned[attribute]
		}
	}
	if _, ok := change["tags"]; ok {
		change["tags"] = anys(texts(planned["tags"])) // none is an empty list, not null
	}
	if len(change) > 0 {
		if err := m.client.call(ctx, http.MethodPut, devicePath(text(prior["id"])), change, nil); err != nil {
			return settled(planned), err
		}
	}
	after, err := m.Read(ctx, planned)
	if err != nil {
		return settled(planned), err
	}
	return after, nil
}

// Delete takes 403 for success, as the real provider does.
func (m metalDevice) Delete(ctx context.Context, prior plugin.Object) error {
	path := devicePath(text(prior["id"]))
	if prior["force_detach_volumes"] == true {
		path += "?force_delete=true"
	}
	err := m.client.call(ctx, http.MethodDelete, path, nil, nil)
	if answered(err, http.StatusNotFound, http.StatusForbidden) {
		return nil
	}
	return err
}

// find reads the device of a state, and what the API knows of it over the
// state: not its user data, nor the keys that were asked for.
func (m metalDevice) find(ctx context.Context, prior plugin.Object) (plugin.Object, error) {
	var d wireDevice
	if err := m.client.call(ctx, http.MethodGet, devicePath(text(prior["id"]))+"?include="+deviceIncludes, nil, &d); err != nil {
		return nil, err
	}
	after := settled(prior)
	for name, value := range unset {
		if after[name] == nil {
			after[name] = value
		}
	}
	maps.Copy(after, d.attributes())
	return after, nil
}

// unset is what the real provider reads where a state holds nothing.
var unset = plugin.Object{"termination_time": "", "force_detach_volumes": false, "wait_for_reservation_deprovision": false}

// settled replaces what is unknown by null.
func settled(o plugin.Object) plugin.Object {
	after := plugin.Object{}
	for name, value := range o {
		if plugin.Known(value) {
			after[name] = value
		}
	}
	return after
}

func devicePath(id string) string { return "/devices/" + url.PathEscape(id) }

// deviceIncludes is what the real provider asks the API to send along.
const deviceIncludes = "project,metro,facility,hardware_reservation"
