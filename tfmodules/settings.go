package tfmodules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// CheckSettings says which settings the module does not know, which it lacks,
// and which have values that Terraform does not.
func (m Module) CheckSettings(settings map[string]any) error {
	var errs []error
	known := map[string]bool{}
	names := make([]string, 0, len(m.Variables))
	for _, v := range m.Variables {
		known[v.Name] = true
		names = append(names, v.Name)
		if _, ok := settings[v.Name]; !ok && v.Required {
			errs = append(errs, fmt.Errorf("module %s: setting %s is missing", m.Name, v.Name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !known[name] {
			errs = append(errs, fmt.Errorf("module %s: setting %s is unknown; it has %s", m.Name, name, strings.Join(names, ", ")))
			continue
		}
		if _, err := toCty(settings[name]); err != nil {
			errs = append(errs, fmt.Errorf("module %s: setting %s: %w", m.Name, name, err))
		}
	}
	return errors.Join(errs...)
}

// toCty converts a setting to Terraform's value of it.
func toCty(value any) (cty.Value, error) {
	switch v := value.(type) {
	case nil:
		return cty.NullVal(cty.DynamicPseudoType), nil
	case string:
		return cty.StringVal(v), nil
	case bool:
		return cty.BoolVal(v), nil
	case int:
		return cty.NumberIntVal(int64(v)), nil
	case int64:
		return cty.NumberIntVal(v), nil
	case float64:
		return cty.NumberFloatVal(v), nil
	case []string:
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = item
		}
		return toCty(items)
	case []any:
		return tuple(v)
	case map[string]any:
		return object(v)
	}
	return cty.NilVal, fmt.Errorf("a value of type %T cannot be written", value)
}

func tuple(items []any) (cty.Value, error) {
	values := make([]cty.Value, len(items))
	for i, item := range items {
		v, err := toCty(item)
		if err != nil {
			return cty.NilVal, err
		}
		values[i] = v
	}
	return cty.TupleVal(values), nil
}

func object(attrs map[string]any) (cty.Value, error) {
	values := make(map[string]cty.Value, len(attrs))
	for name, attr := range attrs {
		v, err := toCty(attr)
		if err != nil {
			return cty.NilVal, err
		}
		values[name] = v
	}
	return cty.ObjectVal(values), nil
}
