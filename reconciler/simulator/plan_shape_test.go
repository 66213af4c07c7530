package simulator

import (
	"encoding/json"
	"reflect"
	"testing"
)

// volatile are the attributes whose values differ from run to run.
var volatile = []string{
	"id", "created", "updated", "project_id", "root_password", "sos_hostname",
	"access_private_ipv4", "access_public_ipv4", "access_public_ipv6", "address",
}

// sameChanges compares a plan's changes with those of the real provider, as
// they were recorded, but for values that differ from run to run.
func sameChanges(t *testing.T, plan map[string]any, recorded string) {
	t.Helper()
	var real map[string]any
	readJSON(t, recorded, &real)
	for _, section := range []string{"resource_changes", "resource_drift"} {
		got, want := scrubbed(plan[section]), scrubbed(real[section])
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s of %s:\ngot  %s\nwant %s", section, recorded, dump(got), dump(want))
		}
	}
}

func scrubbed(v any) any {
	switch n := v.(type) {
	case map[string]any:
		for _, name := range volatile {
			if _, ok := n[name].(string); ok {
				n[name] = "?"
			}
		}
		for _, field := range n {
			scrubbed(field)
		}
	case []any:
		for _, element := range n {
			scrubbed(element)
		}
	}
	return v
}

func dump(v any) string {
	data, _ := json.MarshalIndent(v, "", " ")
	return string(data)
}
