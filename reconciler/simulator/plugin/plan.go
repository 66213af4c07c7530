package plugin

import (
	"reflect"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// Rules is what a provider's code knows of a resource beyond its schema. Each
// may be nil.
type Rules struct {
	// Defaults are the values of attributes that the configuration leaves out.
	Defaults map[string]any
	// Replaces says whether a change of an attribute needs a new resource.
	Replaces func(attribute string, planned Object) bool
	// Strict says that null is not the zero value: so it is with
	// terraform-plugin-framework, and not with terraform-plugin-sdk.
	Strict bool
	// Same says whether two different values of an attribute mean the same.
	Same func(attribute string, prior, planned Object) bool
}

// plan computes what a resource will be, and which attributes make it a
// replacement, as terraform-plugin-sdk does: prior is nil for a create,
// proposed is terraform's merge of configuration and prior, neither is nil
// for an update.
func (r Rules) plan(schema *tfprotov6.Schema, prior, config, proposed Object) (planned Object, replace []string) {
	planned = Object{}
	for name, value := range proposed {
		planned[name] = value
	}
	for _, a := range schema.Block.Attributes {
		if config[a.Name] != nil {
			continue
		}
		if value, ok := r.Defaults[a.Name]; ok {
			planned[a.Name] = value
		} else if prior == nil && a.Computed {
			planned[a.Name] = Unknown{}
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
		if r.Replaces != nil && r.Replaces(name, planned) {
			replace = append(replace, name)
		}
	}
	if !changed {
		return prior, nil
	}
	return planned, replace
}

// unchanged says whether an attribute stays what it was.
func (r Rules) unchanged(name string, prior, planned Object) bool {
	if reflect.DeepEqual(prior[name], planned[name]) || !r.Strict && zero(prior[name]) && zero(planned[name]) {
		return true
	}
	return r.Same != nil && r.Same(name, prior, planned)
}

// zero says whether a value is null or its type's zero value.
func zero(v any) bool {
	switch n := v.(type) {
	case nil:
		return true
	case []any:
		return len(n) == 0
	case Object:
		return len(n) == 0
	case Unknown:
		return false
	}
	return reflect.ValueOf(v).IsZero()
}
