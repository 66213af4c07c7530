package tfmodules

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func shown(t *testing.T, name string) State {
	t.Helper()
	s, err := ReadState(read(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(read(t, name)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestStateText(t *testing.T) {
	golden(t, "secrets-after.show.golden", shown(t, "secrets-after.tfstate").Text())
	golden(t, "state-three.show.golden", State{Resources: shown(t, "state-three.tfstate").Find(`module.devices.equinix_metal_device.server["agent-bbbbbbbb"]`)}.Text())
	if got := (State{}).Text(); got != "" {
		t.Errorf("nothing is told as %q", got)
	}
}

func TestReadState(t *testing.T) {
	s := shown(t, "state-three.tfstate")
	if s.Serial != 4 || s.Lineage != "3524cc8b-a1a2-2353-e7f8-ade98569b8c8" || s.Terraform != "1.11.4" {
		t.Errorf("serial %d, lineage %s, terraform %s", s.Serial, s.Lineage, s.Terraform)
	}
	var labels []string
	for _, name := range []string{"state-three.tfstate", "secrets-after.tfstate"} {
		for _, r := range shown(t, name).Resources {
			labels = append(labels, r.Label())
		}
	}
	want := []string{
		`module.devices.equinix_metal_device.server["agent-aaaaaaaa"]`,
		`module.devices.equinix_metal_device.server["agent-bbbbbbbb"]`,
		`module.devices.equinix_metal_device.server["agent-cccccccc"]`,
		`module.devices.cloud_server.server["agent-aaaaaaaa"]`,
		`module.devices.cloud_server.server["agent-cccccccc"] (tainted)`,
		`module.devices.cloud_server.server["agent-aaaaaaaa"] (deposed 0badcafe)`,
		`module.devices.data.cloud_image.ubuntu`,
		`cloud_user_data.agents[0]`,
	}
	if !slices.Equal(labels, want) {
		t.Errorf("got %q\nwant %q", labels, want)
	}
	whole := read(t, "state-three.tfstate")
	for _, size := range []int{0, 100, len(whole) - 2} {
		if _, err := ReadState(whole[:size]); !errors.Is(err, ErrIncomplete) {
			t.Errorf("the first %d bytes: %v, want ErrIncomplete", size, err)
		}
	}
}

// No secret that a state holds is in anything that is told of it, however it
// is printed.
func TestNoSecretIsShown(t *testing.T) {
	files, err := filepath.Glob("testdata/*.tfstate")
	if err != nil || len(files) < 4 {
		t.Fatalf("%q, %v", files, err)
	}
	var all []State
	for _, path := range files {
		all = append(all, shown(t, filepath.Base(path)))
	}
	var told strings.Builder
	tell := func(v any, text string) {
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&told, "%s\n%s\n%v %+v %#v\n", out, text, v, v, v)
	}
	for _, s := range all {
		tell(s, s.Text())
		for _, other := range append(all, State{}) {
			d := Compare(s, other)
			tell(d, d.Text())
		}
	}
	for _, secret := range []string{"PLANTED", "S3cretRootPw", "correct-horse", "cloud-config", "UExBTlRFRA", "eyJlMmJmYj"} {
		if strings.Contains(told.String(), secret) {
			t.Errorf("%s is shown", secret)
		}
	}
	if !strings.Contains(told.String(), "dc8d9dbe-8c58-86e6-3077-0125dc59fe5a") {
		t.Error("ids are not shown either: this test looks at nothing")
	}
}

func TestHide(t *testing.T) {
	const list = `{"l": ["x", {"k": "y", "z": 1}], "m": {"a": "x", "b": "y"}, "s": "x", "n": null}`
	step := func(kind, value string) string { return `{"type": "` + kind + `", "value": ` + value + `}` }
	name := func(n string) string { return step("get_attr", `"`+n+`"`) }
	index := func(v, of string) string { return step("index", `{"value": `+v+`, "type": "`+of+`"}`) }
	const none = `{"l":["x",{"k":"y","z":1}],"m":{"a":"x","b":"y"},"n":null,"s":"x"}`
	const all = `{"l":"(sensitive value)","m":"(sensitive value)","n":null,"s":"(sensitive value)"}`
	tests := []struct {
		name, kind, attributes, marks, want string
	}{
		{"no marks", "cloud_server", list, `null`, none},
		{"an empty list of marks", "cloud_server", list, `[]`, none},
		{"an attribute", "cloud_server", list, `[[` + name("s") + `]]`, strings.Replace(none, `"s":"x"`, `"s":"(sensitive value)"`, 1)},
		{"null stays null", "cloud_server", list, `[[` + name("n") + `]]`, none},
		{"one that is not there", "cloud_server", list, `[[` + name("gone") + `]]`, none},
		{"in a list", "cloud_server", list, `[[` + name("l") + `, ` + index("1", "number") + `, ` + name("k") + `]]`, strings.Replace(none, `"k":"y"`, `"k":"(sensitive value)"`, 1)},
		{"in a map", "cloud_server", list, `[[` + name("m") + `, ` + index(`"b"`, "string") + `]]`, strings.Replace(none, `"b":"y"`, `"b":"(sensitive value)"`, 1)},
		{"a part and all of it", "cloud_server", list, `[[` + name("m") + `, ` + index(`"b"`, "string") + `], [` + name("m") + `]]`, strings.Replace(none, `{"a":"x","b":"y"}`, `"(sensitive value)"`, 1)},
		{"an index that is not there", "cloud_server", list, `[[` + name("l") + `, ` + index("7", "number") + `]]`, strings.Replace(none, `["x",{"k":"y","z":1}]`, `"(sensitive value)"`, 1)},
		{"a name in a list", "cloud_server", list, `[[` + name("l") + `, ` + name("k") + `]]`, strings.Replace(none, `["x",{"k":"y","z":1}]`, `"(sensitive value)"`, 1)},
		{"below a string", "cloud_server", list, `[[` + name("s") + `, ` + name("k") + `]]`, strings.Replace(none, `"s":"x"`, `"s":"(sensitive value)"`, 1)},
		{"a step that nobody knows", "cloud_server", list, `[[` + name("m") + `, ` + step("splat", "true") + `]]`, strings.Replace(none, `{"a":"x","b":"y"}`, `"(sensitive value)"`, 1)},
		{"the whole", "cloud_server", list, `[[]]`, all},
		{"marks of another format", "cloud_server", list, `{"s": true}`, all},
		{"a type that is named like a secret", "cloud_user_data", list, `[]`, all},
		{"names", "cloud_server", `{"user_data_content_hash": "x", "Auth_Token": 1, "nested": [{"admin_pass": "x", "a": true}]}`, `[]`,
			`{"Auth_Token":"(sensitive value)","nested":[{"a":true,"admin_pass":"(sensitive value)"}],"user_data_content_hash":"(sensitive value)"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ReadState([]byte(`{"version": 4, "resources": [{"type": "` + tt.kind + `", "name": "x", "instances": [
				{"attributes": ` + tt.attributes + `, "sensitive_attributes": ` + tt.marks + `}]}]}`))
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(s.Resources[0].Attributes)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
