package schematest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hangar/reconciler/simulator/plugin"
)

// fact is what a resource of a real provider is like beyond its schema, read from
// the provider's source or documentation.
type fact struct {
	computed plugin.Object            // values, in which %d stands for a number of the thing's own
	untold   []string                 // attributes that the API never tells: they are not there after an import
	echo     func(made plugin.Object) // fills in what the API makes of other attributes
	rules    plugin.Rules
}

// values are those of the thing with a number.
func (f fact) values(serial int) plugin.Object {
	values := plugin.Object{}
	for name, value := range f.computed {
		if text, ok := value.(string); ok && strings.Contains(text, "%d") {
			value = fmt.Sprintf(text, serial)
		}
		if make, ok := value.(func(int) any); ok {
			value = make(serial)
		}
		values[name] = value
	}
	return values
}

var facts = map[string]fact{
	"hcloud_server": {
		computed: plugin.Object{"id": "%d", "ipv4_address": "198.51.100.%d", "status": "running", "location": "fsn1"},
		untold:   []string{"user_data", "ssh_keys"},
	},
	"digitalocean_droplet": {
		computed: plugin.Object{"id": "%d", "ipv4_address": "198.51.100.%d", "ipv4_address_private": "10.0.0.%d", "status": "active"},
		untold:   []string{"user_data", "ssh_keys"},
	},
	"vultr_instance": {
		computed: plugin.Object{"main_ip": "198.51.100.%d", "internal_ip": "10.0.0.%d", "status": "active", "power_status": "running"},
		untold:   []string{"user_data", "ssh_key_ids"},
	},
	"vultr_bare_metal_server": {
		computed: plugin.Object{"main_ip": "198.51.100.%d", "status": "active"},
		untold:   []string{"user_data", "ssh_key_ids"},
	},
	"scaleway_instance_server": {
		computed: plugin.Object{
			"id": "fr-par-1/00000000-0000-4000-8000-0000000000%d", "zone": "fr-par-1",
			// The provider calls a running server started.
			"state": "started",
			"public_ips": func(serial int) any {
				return []any{plugin.Object{"id": fmt.Sprintf("fr-par-1/ip-%d", serial), "address": fmt.Sprintf("198.51.100.%d", serial), "family": "inet", "dynamic": true}}
			},
		},
		untold: []string{"cloud_init"},
		// The provider reads user data back, under this name.
		echo: func(made plugin.Object) { made["user_data"] = plugin.Object{"cloud-init": made["cloud_init"]} },
	},
	"scaleway_baremetal_server": {
		computed: plugin.Object{
			"id": "fr-par-2/00000000-0000-4000-8000-0000000000%d", "zone": "fr-par-2",
			"ipv4": func(serial int) any {
				return []any{plugin.Object{"id": fmt.Sprintf("ip-%d", serial), "address": fmt.Sprintf("198.51.100.%d", serial), "version": "IPv4"}}
			},
		},
		untold: []string{"cloud_init", "ssh_key_ids"},
	},
	"openstack_compute_instance_v2": {
		computed: plugin.Object{"access_ip_v4": "10.0.0.%d", "power_state": "active", "region": "RegionOne"},
		untold:   []string{"user_data"},
	},
	"openstack_networking_floatingip_v2": {computed: plugin.Object{"address": "198.51.100.%d"}},
	"latitudesh_server": {
		computed: plugin.Object{"id": "sv_%d", "primary_ipv4": "198.51.100.%d", "status": "on", "region": "SAO"},
		untold:   []string{"user_data", "allow_reinstall"},
		// An import does not know of allow_reinstall, and is updated to have its default.
		rules: plugin.Rules{Defaults: map[string]any{"allow_reinstall": false}, Strict: true},
	},
	"latitudesh_user_data": {computed: plugin.Object{"id": "ud_%d"}},
}

// dataFact is how a data source of a real provider chooses, and what it tells.
type dataFact struct {
	of    string // the resource that it tells of
	list  string // attribute with all that it found; empty: it tells of one
	picks func(config, state plugin.Object) bool
	// turns are attributes that a list tells otherwise than the resource.
	turns  map[string]func(plugin.Object) any
	absent string // what is said when there is none of which it could tell; %s is the name asked for
}

// element is what a list tells of a resource.
func (d dataFact) element(state plugin.Object) plugin.Object {
	e := maps.Clone(state)
	for name, turn := range d.turns {
		e[name] = turn(state)
	}
	return e
}

// number turns an id into the number that it is.
func number(state plugin.Object) any {
	text, _ := state["id"].(string)
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil
	}
	return n
}

var sources = map[string]dataFact{
	"hcloud_servers": {
		of: "hcloud_server", list: "servers", picks: bySelector,
		turns: map[string]func(plugin.Object) any{"id": number},
	},
	"digitalocean_droplets": {
		of: "digitalocean_droplet", list: "droplets", picks: byFilter("key"),
		turns: map[string]func(plugin.Object) any{"id": number},
	},
	"vultr_instances": {
		of: "vultr_instance", list: "instances", picks: byFilter("name"),
		// A block of the resource is a map here.
		turns: map[string]func(plugin.Object) any{"backups_schedule": func(plugin.Object) any { return nil }},
	},
	"vultr_bare_metal_server":   {of: "vultr_bare_metal_server", picks: byFilter("name"), absent: "no results were found"},
	"scaleway_instance_servers": {of: "scaleway_instance_server", list: "servers", picks: byTags},
	"scaleway_baremetal_server": {of: "scaleway_baremetal_server", picks: byName, absent: "no element found with the name %s"},
}

// bySelector picks by one label, as hcloud's label selector key or key=value does.
func bySelector(config, state plugin.Object) bool {
	selector, _ := config["with_selector"].(string)
	labels, _ := state["labels"].(plugin.Object)
	key, value, exact := strings.Cut(selector, "=")
	has, there := labels[key]
	return selector == "" || there && (!exact || has == value)
}

// byFilter picks what has one of the values of every filter, whose attribute is
// called by the given word.
func byFilter(word string) func(config, state plugin.Object) bool {
	return func(config, state plugin.Object) bool {
		filters, _ := config["filter"].([]any)
		for _, f := range filters {
			block, _ := f.(plugin.Object)
			name, _ := block[word].(string)
			values, _ := block["values"].([]any)
			if !slices.ContainsFunc(values, func(v any) bool {
				several, _ := state[name].([]any)
				return state[name] == v || slices.Contains(several, v)
			}) {
				return false
			}
		}
		return true
	}
}

// byTags picks what has all tags, as Scaleway's API does.
func byTags(config, state plugin.Object) bool {
	wanted, _ := config["tags"].([]any)
	has, _ := state["tags"].([]any)
	for _, tag := range wanted {
		if !slices.Contains(has, tag) {
			return false
		}
	}
	return true
}

func byName(config, state plugin.Object) bool { return config["name"] == state["name"] }
