package plugin

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// A provider of the newer kind: nested attributes instead of blocks.
func TestParseSchemasOfAnotherProvider(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "schematest", "schemas", "latitudesh-4.0.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSchemas(document, "registry.terraform.io/latitudesh/latitudesh")
	if err != nil {
		t.Fatal(err)
	}
	server := s.Resources["latitudesh_server"]
	if server == nil {
		t.Fatalf("resources are %v", s.Resources)
	}
	nested := 0
	for _, a := range server.Block.Attributes {
		if a.NestedType != nil {
			nested++
		}
	}
	if nested == 0 {
		t.Error("no nested attribute")
	}
	if _, ok := server.ValueType().(tftypes.Object); !ok {
		t.Errorf("its type is %s", server.ValueType())
	}
}

func TestParseSchemasFails(t *testing.T) {
	tests := []struct{ name, document string }{
		{"no JSON", "-"},
		{"another provider", `{"provider_schemas":{"b":{}}}`},
		{"a strange type", `{"provider_schemas":{"a":{"provider":{"block":{"attributes":{"x":{"type":"odd"}}}}}}}`},
		{"a strange block", `{"provider_schemas":{"a":{"provider":{"block":{"block_types":{"x":{"nesting_mode":"odd"}}}}}}}`},
		{"a strange object", `{"provider_schemas":{"a":{"provider":{"block":{"attributes":{"x":{"nested_type":{"nesting_mode":"odd"}}}}}}}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if s, err := ParseSchemas([]byte(test.document), "a"); err == nil {
				t.Errorf("schemas are %v", s)
			}
		})
	}
}

func TestValuesSurviveTheWire(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "equinix_schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSchemas(document, "registry.terraform.io/equinix/equinix")
	if err != nil {
		t.Fatal(err)
	}
	schema := s.Resources["equinix_metal_device"]
	want := Object{}
	for name := range schema.ValueType().(tftypes.Object).AttributeTypes {
		want[name] = nil
	}
	want["hostname"], want["always_pxe"], want["id"] = "agent-1", true, Unknown{}
	want["tags"] = []any{"a", Unknown{}}
	want["network"] = []any{Object{"address": "a", "cidr": 31.0, "family": 4.0, "gateway": "g", "public": true}}
	want["timeouts"] = Object{"create": "1m", "delete": nil, "update": nil}
	wire, err := encode(schema, want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decode(schema, wire); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v came back as %v, %v", want, got, err)
	}
	if wire, err = encode(schema, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := decode(schema, wire); err != nil || got != nil {
		t.Errorf("null came back as %v, %v", got, err)
	}
	for name, value := range map[string]any{"hostname": 1.0, "tags": "a", "timeouts": []any{}, "network": Object{}, "id": 1} {
		if _, err := encode(schema, Object{name: value}); err == nil {
			t.Errorf("%s = %v was encoded", name, value)
		}
	}
}

func TestPlan(t *testing.T) {
	attribute := func(name string, computed bool) *tfprotov6.SchemaAttribute {
		return &tfprotov6.SchemaAttribute{Name: name, Type: tftypes.String, Optional: true, Computed: computed}
	}
	schema := &tfprotov6.Schema{Block: &tfprotov6.SchemaBlock{Attributes: []*tfprotov6.SchemaAttribute{
		attribute("place", false), attribute("name", false), attribute("mode", false), attribute("id", true),
	}}}
	r := Rules{
		Defaults: map[string]any{"mode": "slow"},
		Replaces: func(attribute string, _ Object) bool { return attribute == "place" },
		Same: func(attribute string, _, planned Object) bool {
			return attribute == "name" && planned["name"] == "alias"
		},
	}
	prior := Object{"place": "here", "name": "n", "mode": "slow", "id": "1"}
	tests := []struct {
		name            string
		prior           Object
		config          Object
		proposed        Object
		want            Object
		wantReplacement []string
	}{
		{
			"create", nil, Object{"place": "here"}, Object{"place": "here", "name": nil, "mode": nil, "id": nil},
			Object{"place": "here", "name": nil, "mode": "slow", "id": Unknown{}}, nil,
		},
		{
			"create with a computed value given", nil, Object{"id": "7"}, Object{"id": "7"},
			Object{"id": "7", "mode": "slow"}, nil,
		},
		{"nothing", prior, Object{"place": "here", "name": "n"}, Object{"place": "here", "name": "n", "mode": nil, "id": "1"}, prior, nil},
		{"the same by another name", prior, Object{"name": "alias"}, Object{"place": "here", "name": "alias", "mode": nil, "id": "1"}, prior, nil},
		{
			"change", prior, Object{"name": "m"}, Object{"place": "here", "name": "m", "mode": nil, "id": "1"},
			Object{"place": "here", "name": "m", "mode": "slow", "id": "1"}, nil,
		},
		{
			"replacement", prior, Object{"place": "there"}, Object{"place": "there", "name": "n", "mode": nil, "id": "1"},
			Object{"place": "there", "name": "n", "mode": "slow", "id": "1"}, []string{"place"},
		},
		{
			"unknown value", prior, Object{"place": Unknown{}}, Object{"place": Unknown{}, "name": "n", "mode": nil, "id": "1"},
			Object{"place": Unknown{}, "name": "n", "mode": "slow", "id": "1"}, []string{"place"},
		},
		{
			"null for an empty string", Object{"name": "", "mode": "slow"}, Object{}, Object{"name": nil, "mode": nil},
			Object{"name": "", "mode": "slow"}, nil,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, replace := r.plan(schema, test.prior, test.config, test.proposed)
			if !reflect.DeepEqual(got, test.want) || !reflect.DeepEqual(replace, test.wantReplacement) {
				t.Errorf("plan is %v, replacing by %v; want %v, %v", got, replace, test.want, test.wantReplacement)
			}
		})
	}
}
