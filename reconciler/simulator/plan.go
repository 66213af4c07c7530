package simulator

import (
	"reflect"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// rules is what a provider's code knows of a resource beyond its schema. Each
// may be nil.
type rules struct {
	// defaults are the values of attributes that the configuration leaves out.
	defaults map[string]any
	// replaces says whether a change of an attribute needs a new resource.
	replaces func(attribute string, planned object) bool
	// same says whether two different values of an attribute mean the same.
	same func(attribute string, prior, planned object) bool
}

// plan computes what a resource will be, and which attributes make it a
// replacement, as terraform-plugin-sdk does: prior is nil for a create,
// proposed is terraform's merge of configuration and prior, neither is nil
// for an update.
func (r rules) plan(schema *tfprotov6.Schema, prior, config, proposed object) (planned object, replace []string) {
	planned = object{}
	for name, value := range proposed {
		planned[name] = value
	}
	for _, a := range schema.Block.Attributes {
		if config[a.Name] != nil {
			continue
		}
		if value, ok := r.defaults[a.Name]; ok {
			planned[a.Name] = value
		} else if prior == nil && a.Computed {
			planned[a.Name] = unknown{}
		}
	}
	if prior == nil {
		return planned, nil
	}
	changed := false
	for name, value := range planned {
		if r.unchanged(name, prior, planned) {
			planned[name] = prior[name]
			continue
		}
		changed = changed || !reflect.DeepEqual(prior[name], value)
		if r.replaces != nil && r.replaces(name, planned) {
			replace = append(replace, name)
		}
	}
	if !changed {
		return prior, nil
	}
	return planned, replace
}

// unchanged says whether an attribute stays what it was. In the SDK's type
// system null and the zero value are the same.
func (r rules) unchanged(name string, prior, planned object) bool {
	if reflect.DeepEqual(prior[name], planned[name]) || zero(prior[name]) && zero(planned[name]) {
		return true
	}
	return r.same != nil && r.same(name, prior, planned)
}

// zero says whether a value is null or its type's zero value.
func zero(v any) bool {
	switch n := v.(type) {
	case nil:
		return true
	case []any:
		return len(n) == 0
	case object:
		return len(n) == 0
	case unknown:
		return false
	}
	return reflect.ValueOf(v).IsZero()
}
