package tfmodules

import (
	"encoding/json"
	"testing"
)

func TestDifferenceText(t *testing.T) {
	before, after := shown(t, "secrets-before.tfstate"), shown(t, "secrets-after.tfstate")
	golden(t, "secrets.diff.golden", Compare(before, after).Text())
	golden(t, "secrets-first.diff.golden", Compare(State{}, before).Text())
	if got, want := Compare(after, shown(t, "secrets-after.tfstate")).Text(), "Resources: 0 added, 0 changed, 0 removed.\n"; got != want {
		t.Errorf("a state against itself: %q, want %q", got, want)
	}
}

func TestCompare(t *testing.T) {
	const nothing = `{"resources":[],"outputs":[]}`
	one := func(attributes string) string {
		return `"resources": [{"type": "t", "name": "x", "instances": [{"attributes": ` + attributes + `}]}]`
	}
	status := func(status string) string {
		return `"resources": [{"type": "t", "name": "x", "instances": [{"status": "` + status + `", "attributes": {}}]}]`
	}
	changed := func(changes string) string {
		return `{"resources":[{"action":"changed","address":"t.x","attributes":[` + changes + `]}],"outputs":[]}`
	}
	tests := []struct {
		name, before, after, want string
	}{
		{"nothing", `"serial": 1`, `"serial": 2`, nothing},
		{"the same", one(`{"a": 1, "token": "x"}`), one(`{"token": "x", "a": 1}`), nothing},
		{"an attribute", one(`{"a": 1}`), one(`{"a": 2}`), changed(`{"path":"a","old":1,"new":2}`)},
		{"a large number", one(`{"a": 12345678901234567890}`), one(`{"a": 12345678901234567891}`), changed(`{"path":"a","old":12345678901234567890,"new":12345678901234567891}`)},
		{"null and absent are one", one(`{"a": null}`), one(`{}`), nothing},
		{"set and unset", one(`{"a": "x"}`), one(`{"b": "y"}`), changed(`{"path":"a","old":"x","new":null},{"path":"b","old":null,"new":"y"}`)},
		{"a secret", one(`{"token": "x"}`), one(`{"token": "y"}`), changed(`{"path":"token","old":"(sensitive value)","new":"(sensitive value)"}`)},
		{"a new secret", one(`{"token": null}`), one(`{"token": "y"}`), changed(`{"path":"token","old":null,"new":"(sensitive value)"}`)},
		{"within", one(`{"l": [{"a.b": 1}, 2]}`), one(`{"l": [{"a.b": 3}, 2]}`), changed(`{"path":"l[0][\"a.b\"]","old":1,"new":3}`)},
		{"a longer list", one(`{"l": [1]}`), one(`{"l": [1, 2]}`), changed(`{"path":"l","old":[1],"new":[1,2]}`)},
		{"another type", one(`{"l": [1]}`), one(`{"l": {}}`), changed(`{"path":"l","old":[1],"new":{}}`)},
		{"tainted", status(""), status("tainted"), changed(`{"path":"(status)","old":null,"new":"tainted"}`)},
		{"added", `"serial": 1`, one(`{"a": 1, "b": null}`), `{"resources":[{"action":"added","address":"t.x","attributes":[{"path":"a","old":null,"new":1}]}],"outputs":[]}`},
		{"removed", one(`{"a": 1}`), `"serial": 1`, `{"resources":[{"action":"removed","address":"t.x","attributes":[{"path":"a","old":1,"new":null}]}],"outputs":[]}`},
		{"added with nothing in it", `"serial": 1`, one(`{}`), `{"resources":[{"action":"added","address":"t.x","attributes":[]}],"outputs":[]}`},
		{"an output", `"outputs": {"o": {"value": {"k": 1}}}`, `"outputs": {"o": {"value": {"k": 2}}}`, `{"resources":[],"outputs":[{"path":"o.k","old":1,"new":2}]}`},
		{"a sensitive output", `"outputs": {"o": {"value": [1], "sensitive": true}}`, `"outputs": {"o": {"value": [2], "sensitive": true}}`,
			`{"resources":[],"outputs":[{"path":"o","old":"(sensitive value)","new":"(sensitive value)"}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var both [2]State
			for i, text := range []string{tt.before, tt.after} {
				s, err := ReadState([]byte(`{"version": 4, ` + text + `}`))
				if err != nil {
					t.Fatal(err)
				}
				both[i] = s
			}
			got, err := json.Marshal(Compare(both[0], both[1]))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
