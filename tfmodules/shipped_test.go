package tfmodules

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// required is what modules that come with hangar want to be told, beside their
// defaults.
var required = map[string]map[string]any{
	"packet":             {"facility": "ewr1", "plan": "c3.small.x86", "image": "ubuntu_24_04", "project_id": project},
	"latitude":           {"project": "proj_1"},
	"openstack":          {"flavor": "m1.large", "image": "ubuntu-24.04"},
	"scaleway-baremetal": {"os": "7e865c16-1a63-4dc7-8181-dabc020fc21b", "ssh_key_ids": []any{"5a1c"}},
}

// The root module of each module that comes with hangar, and of its census. That
// terraform takes them is tested where it runs.
func TestGoldenRootsOfShippedModules(t *testing.T) {
	for _, name := range Names() {
		m, err := Shipped(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := Render(Root{
			Module: m, Settings: required[name], Servers: rootServers(nil, "agent-aaaaaaaa", "agent-bbbbbbbb"),
			Imports: map[string]string{"agent-bbbbbbbb": "71f73595-05c9-09d3-21df-952777e39c63"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if m.Census != nil {
			census, err := RenderCensus(CensusRoot{Module: m, Settings: required[name], Tag: "hangar-stack=default-k3v7q2mn", Name: "agent-aaaaaaaa"})
			if err != nil {
				t.Fatal(err)
			}
			text = append(append(text, "\n# census\n"...), census...)
		}
		text = bytes.ReplaceAll(text, []byte(m.Folder()), []byte(name+"-00000000"))
		golden := filepath.Join("testdata", "shipped", name+".tf.golden")
		if *update {
			if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(text, want) {
			t.Errorf("%s:\n%s\nwant:\n%s", golden, text, want)
		}
	}
}
