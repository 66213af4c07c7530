package tfmodules

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"hangar/state"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func packet(t *testing.T) Module {
	t.Helper()
	m, err := Shipped("packet")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDevicesIsTheOutput(t *testing.T) {
	var outputs struct {
		Devices struct {
			Value map[string]state.Device `json:"value"`
		} `json:"devices"`
	}
	if err := json.Unmarshal(read(t, "output-three.json"), &outputs); err != nil {
		t.Fatal(err)
	}
	got, err := packet(t).Devices(read(t, "state-three.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	if want := outputs.Devices.Value; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDevicesWithoutOutputs(t *testing.T) {
	got, err := packet(t).Devices(read(t, "state-after-no-capacity.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]state.Device{
		"agent-aaaaaaaa": {ID: "182da146-4b91-004f-cb91-3038076fc905", Address: "127.1.0.2", PrivateAddress: "10.99.0.2", State: "active", Region: "ewr1", Size: "c3.small.x86", Image: "ubuntu_24_04"},
		"agent-bbbbbbbb": {ID: "86824261-4411-c8c0-5d97-e00dd02139c8", Address: "127.1.0.3", PrivateAddress: "10.99.0.3", State: "active", Region: "ewr1", Size: "c3.small.x86", Image: "ubuntu_24_04"},
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDevicesCases(t *testing.T) {
	const recorded = `"outputs": {"devices": {"value": {"a": {"id": "1", "address": "192.0.2.1", "state": "active"}}}}`
	const instance = `{"index_key": "a", "attributes": {"id": "1", "size": "big", "state": "on", "number": 7, "ips": ["192.0.2.7"], "none": null}}`
	tests := []struct {
		name   string
		output string // the module's, for each server s
		state  string // members of the state
		want   map[string]state.Device
	}{
		{"no resources", `{ id = s.id }`, `"resources": []`, map[string]state.Device{}},
		{"attributes", `{ id = s.id, size = s.size, state = s.state }`, servers(instance),
			map[string]state.Device{"a": {ID: "1", Size: "big", State: "on"}}},
		{"functions", `{ id = tostring(s.number), address = try(s.missing, one(s.ips)), size = coalesce(s.none, "", "small") }`, servers(instance),
			map[string]state.Device{"a": {ID: "7", Address: "192.0.2.7", Size: "small"}}},
		{"null", `{ id = s.id, address = s.none }`, servers(instance), map[string]state.Device{"a": {ID: "1"}}},
		{"another resource of the module", `{ id = s.id, address = cloud_address.public[name].ip }`,
			`"resources": [` + server(instance) + `, {"module": "module.devices", "mode": "managed", "type": "cloud_address", "name": "public", "instances": [{"index_key": "a", "attributes": {"ip": "192.0.2.9"}}]}]`,
			map[string]state.Device{"a": {ID: "1", Address: "192.0.2.9"}}},
		{"a setting, outputs recorded", `{ id = s.id, size = var.size }`, recorded + "," + servers(instance),
			map[string]state.Device{"a": {ID: "1", Address: "192.0.2.1", State: "active"}}},
		{"a setting, nothing recorded", `{ id = s.id, size = var.size }`, servers(instance), map[string]state.Device{"a": {ID: "1"}}},
		{"one lacks what the other has", `{ id = s.id, size = s.size }`, servers(instance, `{"index_key": "b", "attributes": {"id": "2"}}`),
			map[string]state.Device{"a": {ID: "1", Size: "big"}, "b": {ID: "2"}}},
		{"recorded, but gone", `{ id = s.id }`, recorded + `, "resources": []`, map[string]state.Device{}},
		{"tainted", `{ id = s.id, state = s.state }`, servers(strings.Replace(instance, "{", `{"status": "tainted", `, 1)),
			map[string]state.Device{"a": {ID: "1", State: state.Tainted}}},
		{"deposed", `{ id = s.id }`, servers(strings.Replace(instance, "{", `{"deposed": "0badcafe", `, 1)), map[string]state.Device{}},
		{"of another module", `{ id = s.id }`, strings.Replace(servers(instance), "module.devices", "module.other", 1), map[string]state.Device{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := with(plain, "terraform_data", "cloud_server")
			fsys = merge(fsys, "outputs.tf", "output \"devices\" {\n  value = { for name, s in cloud_server.server : name => "+tt.output+" }\n}\n")
			m, err := Load(fsys, "mine")
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Devices([]byte(`{"version": 4, ` + tt.state + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func server(instances ...string) string {
	return `{"module": "module.devices", "mode": "managed", "type": "cloud_server", "name": "server", "instances": [` + strings.Join(instances, ",") + `]}`
}

func servers(instances ...string) string { return `"resources": [` + server(instances...) + `]` }

func TestTornState(t *testing.T) {
	whole := read(t, "state-three.tfstate")
	m := packet(t)
	for _, size := range []int{0, 1, 100, len(whole) / 2, len(whole) - 2} {
		if _, err := m.Devices(whole[:size]); !errors.Is(err, ErrIncomplete) {
			t.Errorf("the first %d bytes: %v, want ErrIncomplete", size, err)
		}
		if _, _, err := ParseState(whole[:size]); !errors.Is(err, ErrIncomplete) {
			t.Errorf("the first %d bytes: %v, want ErrIncomplete", size, err)
		}
	}
	serial, lineage, err := ParseState(whole)
	if serial != 4 || lineage != "3524cc8b-a1a2-2353-e7f8-ade98569b8c8" || err != nil {
		t.Errorf("serial %d, lineage %s, error %v", serial, lineage, err)
	}
	if _, _, err := ParseState([]byte(`{"version": 3}`)); err == nil || errors.Is(err, ErrIncomplete) {
		t.Errorf("version 3: %v, want another error than ErrIncomplete", err)
	}
}

// Every prefix that is not the whole must be recognised, whatever it ends in.
func TestDoubledNamesKeepOneEach(t *testing.T) {
	got, err := packet(t).Devices(read(t, "state-after-doubled-after-502.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(got)); len(names) != 3 {
		t.Errorf("devices of %v, want three", names)
	}
}
