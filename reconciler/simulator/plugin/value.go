package plugin

import (
	"fmt"
	"math/big"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Object is a Terraform object in Go's own terms: its attributes are nil
// (null), Unknown{}, string, bool, float64, []any (list, set, tuple) or
// map[string]any (map, object).
type Object = map[string]any

// Unknown stands for a value that is known after apply.
type Unknown struct{}

// decode reads an object of a schema; nil: it is null.
func decode(schema *tfprotov6.Schema, wire *tfprotov6.DynamicValue) (Object, error) {
	if wire == nil {
		return nil, nil
	}
	value, err := wire.Unmarshal(schema.ValueType())
	if err != nil {
		return nil, err
	}
	return decodeObject(value)
}

func decodeObject(value tftypes.Value) (Object, error) {
	native, err := decodeValue(value)
	o, _ := native.(Object)
	return o, err
}

func decodeValue(v tftypes.Value) (any, error) {
	if !v.IsKnown() {
		return Unknown{}, nil
	}
	if v.IsNull() {
		return nil, nil
	}
	switch t := v.Type(); {
	case t.Is(tftypes.String):
		var s string
		err := v.As(&s)
		return s, err
	case t.Is(tftypes.Bool):
		var b bool
		err := v.As(&b)
		return b, err
	case t.Is(tftypes.Number):
		n := new(big.Float)
		err := v.As(&n)
		f, _ := n.Float64()
		return f, err
	case t.Is(tftypes.Object{}), t.Is(tftypes.Map{}):
		var fields map[string]tftypes.Value
		if err := v.As(&fields); err != nil {
			return nil, err
		}
		o := Object{}
		for name, field := range fields {
			native, err := decodeValue(field)
			if err != nil {
				return nil, err
			}
			o[name] = native
		}
		return o, nil
	}
	var elements []tftypes.Value
	if err := v.As(&elements); err != nil {
		return nil, err
	}
	list := []any{}
	for _, element := range elements {
		native, err := decodeValue(element)
		if err != nil {
			return nil, err
		}
		list = append(list, native)
	}
	return list, nil
}

// encode writes an object of a schema; a nil object is null, an absent
// attribute too.
func encode(schema *tfprotov6.Schema, o Object) (*tfprotov6.DynamicValue, error) {
	t := schema.ValueType()
	var native any
	if o != nil {
		native = o
	}
	value, err := encodeValue(t, native)
	if err != nil {
		return nil, err
	}
	wire, err := tfprotov6.NewDynamicValue(t, value)
	return &wire, err
}

func encodeValue(t tftypes.Type, native any) (tftypes.Value, error) {
	switch n := native.(type) {
	case nil:
		return tftypes.NewValue(t, nil), nil
	case Unknown:
		return tftypes.NewValue(t, tftypes.UnknownValue), nil
	case string, bool, float64:
		if err := tftypes.ValidateValue(t, n); err != nil {
			return tftypes.Value{}, err
		}
		return tftypes.NewValue(t, n), nil
	case []any:
		return encodeList(t, n)
	case Object:
		return encodeObject(t, n)
	}
	return tftypes.Value{}, fmt.Errorf("a %T is not a value", native)
}

func encodeList(t tftypes.Type, list []any) (tftypes.Value, error) {
	var element tftypes.Type
	switch t := t.(type) {
	case tftypes.List:
		element = t.ElementType
	case tftypes.Set:
		element = t.ElementType
	default:
		return tftypes.Value{}, fmt.Errorf("a list is not a %s", t)
	}
	values := []tftypes.Value{}
	for _, native := range list {
		v, err := encodeValue(element, native)
		if err != nil {
			return v, err
		}
		values = append(values, v)
	}
	return tftypes.NewValue(t, values), nil
}

func encodeObject(t tftypes.Type, o Object) (tftypes.Value, error) {
	values := map[string]tftypes.Value{}
	put := func(name string, t tftypes.Type) error {
		v, err := encodeValue(t, o[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		values[name] = v
		return nil
	}
	switch t := t.(type) {
	case tftypes.Object:
		for name, attribute := range t.AttributeTypes {
			if err := put(name, attribute); err != nil {
				return tftypes.Value{}, err
			}
		}
	case tftypes.Map:
		for name := range o {
			if err := put(name, t.ElementType); err != nil {
				return tftypes.Value{}, err
			}
		}
	default:
		return tftypes.Value{}, fmt.Errorf("an object is not a %s", t)
	}
	return tftypes.NewValue(t, values), nil
}

// Known says whether a value holds nothing that is known after apply.
func Known(v any) bool {
	switch n := v.(type) {
	case Unknown:
		return false
	case []any:
		for _, element := range n {
			if !Known(element) {
				return false
			}
		}
	case Object:
		for _, field := range n {
			if !Known(field) {
				return false
			}
		}
	}
	return true
}
