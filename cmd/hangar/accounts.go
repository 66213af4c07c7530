package main

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"hangar/reconciler/pools"
	"hangar/state"
)

// native are the variables by which the provider of a module finds its credentials
// itself. They are passed on to the module's terraform where hangar has them.
var native = map[string][]string{
	"hetznercloud":       {"HCLOUD_TOKEN"},
	"digitalocean":       {"DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"},
	"latitude":           {"LATITUDESH_AUTH_TOKEN"},
	"vultr":              {"VULTR_API_KEY"},
	"vultr-instance":     {"VULTR_API_KEY"},
	"scaleway":           {"SCW_ACCESS_KEY", "SCW_SECRET_KEY", "SCW_DEFAULT_PROJECT_ID", "SCW_DEFAULT_ORGANIZATION_ID"},
	"scaleway-baremetal": {"SCW_ACCESS_KEY", "SCW_SECRET_KEY", "SCW_DEFAULT_PROJECT_ID", "SCW_DEFAULT_ORGANIZATION_ID"},
	// https://docs.openstack.org/python-openstackclient/latest/cli/man/openstack.html
	"openstack": {
		"OS_AUTH_URL", "OS_USERNAME", "OS_USER_ID", "OS_PASSWORD", "OS_TOKEN", "OS_REGION_NAME", "OS_CLOUD", "OS_CACERT", "OS_CERT", "OS_KEY", "OS_INSECURE",
		"OS_PROJECT_ID", "OS_PROJECT_NAME", "OS_TENANT_ID", "OS_TENANT_NAME", "OS_DOMAIN_ID", "OS_DOMAIN_NAME", "OS_DEFAULT_DOMAIN",
		"OS_USER_DOMAIN_ID", "OS_USER_DOMAIN_NAME", "OS_PROJECT_DOMAIN_ID", "OS_PROJECT_DOMAIN_NAME", "OS_ENDPOINT_TYPE", "OS_SYSTEM_SCOPE",
		"OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_NAME", "OS_APPLICATION_CREDENTIAL_SECRET",
	},
}

// credentials are the variables of which one must be set so that a module can be
// used, and by which it is chosen where nothing else names a module. A module
// that is chosen by name only has the same ones as another one. The provider's own
// variable does instead, but chooses nothing where drone/autoscaler has another.
var credentials = []struct {
	module string
	byName bool
	any    []string
	own    string
}{
	{"packet", false, []string{"DRONE_PACKET_APIKEY"}, ""},
	{"hetznercloud", false, []string{"DRONE_HETZNERCLOUD_TOKEN"}, "HCLOUD_TOKEN"},
	{"digitalocean", false, []string{"DRONE_DIGITALOCEAN_TOKEN"}, "DIGITALOCEAN_TOKEN"},
	{"scaleway", false, []string{"DRONE_SCALEWAY_ACCESS_KEY"}, "SCW_ACCESS_KEY"},
	{"scaleway-baremetal", true, []string{"DRONE_SCALEWAY_ACCESS_KEY"}, "SCW_ACCESS_KEY"},
	{"openstack", false, []string{"OS_USERNAME", "OS_CLOUD", "OS_APPLICATION_CREDENTIAL_ID"}, ""},
	{"latitude", false, []string{"LATITUDESH_AUTH_TOKEN"}, ""},
	{"vultr", false, []string{"VULTR_API_KEY"}, ""},
	{"vultr-instance", true, []string{"VULTR_API_KEY"}, ""},
}

// chosen is the module whose credentials are set; packet where there are none. err
// says how to choose where there are those of several.
func chosen(environ map[string]string) (module string, err error) {
	var found, by []string
	for _, c := range credentials {
		if i := slices.IndexFunc(c.any, func(name string) bool { return strings.TrimSpace(environ[name]) != "" }); i >= 0 && !c.byName {
			found, by = append(found, c.module), append(by, c.any[i])
		}
	}
	if len(found) > 1 {
		return "", fmt.Errorf("credentials of several providers are set (%s): set DRONE_TERRAFORM_MODULE to one of %s, or describe pools in DRONE_POOLS_FILE", strings.Join(by, ", "), strings.Join(found, ", "))
	}
	return cmp.Or(slices.Concat(found, []string{"packet"})...), nil
}

// usable says what a module that comes with hangar still needs of the environment.
func usable(module string, environ map[string]string) error {
	for _, c := range credentials {
		set := func(name string) bool { return environ[name] != "" }
		if c.module != module || module == "packet" || slices.ContainsFunc(c.any, set) || set(c.own) {
			continue
		}
		return fmt.Errorf("module %s needs %s: the credentials of its provider", module, either(c.any))
	}
	return nil
}

// account is what the environment tells of one module that comes with hangar.
type account struct {
	env      map[string]string // of its terraform
	settings map[string]any
	places   []map[string]any // in order of preference; none: as the module has it
}

// accounts are those of all modules but packet: what of the settings is set goes
// where their tags say.
func (c Config) accounts(environ map[string]string) map[string]*account {
	all := map[string]*account{}
	of := func(module string) *account {
		if all[module] == nil {
			all[module] = &account{env: map[string]string{}, settings: map[string]any{}}
		}
		return all[module]
	}
	for module, names := range native {
		for _, name := range names {
			if value, set := environ[name]; set {
				of(module).env[name] = value
			}
		}
	}
	values := reflect.ValueOf(c.Clouds)
	for f := range values.Type().Fields() {
		if environ[f.Tag.Get("env")] == "" {
			continue
		}
		value := values.FieldByIndex(f.Index).Interface()
		for to := range strings.SplitSeq(f.Tag.Get("to"), ";") {
			words := strings.Fields(to)
			if len(words) != 3 {
				continue
			}
			switch a := of(words[0]); words[1] {
			case "env":
				a.env[words[2]], _ = value.(string)
			case "setting":
				a.settings[words[2]] = untyped(value)
			case "place":
				places, _ := value.([]string)
				a.places = product(a.places, words[2], places)
			}
		}
	}
	return all
}

// private says whether machines are reached at their private addresses.
func (c Config) private() bool { return c.AgentPrivateIP || c.OceanPrivateIP }

// untyped is a value as a module's setting.
func untyped(value any) any {
	switch v := value.(type) {
	case []string:
		list := []any{}
		for _, one := range v {
			list = append(list, one)
		}
		return list
	case map[string]string:
		object := map[string]any{}
		for name, one := range v {
			object[name] = one
		}
		return object
	}
	return value
}

// product has each place with each value of one more setting, place by place.
func product(places []map[string]any, setting string, values []string) (all []map[string]any) {
	if len(places) == 0 {
		places = []map[string]any{{}}
	}
	for _, place := range places {
		for _, value := range values {
			one := maps.Clone(place)
			one[setting] = value
			all = append(all, one)
		}
	}
	return all
}

// increments are in what the servers of a module are billed, and what is paid for
// at least.
var increments = map[string]pools.Billing{
	"hetznercloud":       {Period: time.Hour},    // https://docs.hetzner.com/cloud/billing/faq
	"digitalocean":       {Minimum: time.Minute}, // by the second since 2026; https://docs.digitalocean.com/platform/billing
	"vultr":              {Period: time.Hour},    // https://docs.vultr.com/support/platform/billing
	"vultr-instance":     {Period: time.Hour},
	"scaleway":           {Period: time.Hour}, // https://www.scaleway.com/en/docs/instances/faq
	"scaleway-baremetal": {Period: time.Hour},
}

// billed tells what servers are billed in; nil where the user says when they may
// leave.
func billed(environ map[string]string) func(state.Candidate) pools.Billing {
	for _, name := range []string{"DRONE_POOL_MIN_AGE", "DRONE_POOL_IDLE", "DRONE_POOL_BILLING_PERIOD"} {
		if environ[name] != "" {
			return nil
		}
	}
	return func(k state.Candidate) pools.Billing {
		switch hourly := (pools.Billing{Period: time.Hour}); {
		case k.Provider == "packet" && k.Settings["billing_cycle"] == "hourly":
			return hourly
		case k.Provider == "latitude" && (k.Settings["billing"] == nil || k.Settings["billing"] == "hourly"):
			return hourly
		}
		return increments[k.Provider]
	}
}
