package tfmodules

import (
	"encoding/json"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"hangar/state"
)

// inRoot is the address of the module in the rendered root module.
const inRoot = "module.devices"

// Devices returns what a Terraform state of the rendered root module tells of
// each server: every one that the state has an instance of, and no other. It
// evaluates the module's own output, and so needs no terraform; it works in
// the middle of an apply and after a failed one, when the state has no
// outputs. Where the output needs more than the state's resources, the
// device is as the state recorded the output, or known by its id alone.
func (m Module) Devices(stateJSON []byte) (map[string]state.Device, error) {
	s, err := parseState(stateJSON)
	if err != nil {
		return nil, err
	}
	scope := m.scope(s)
	var recorded map[string]json.RawMessage
	if output := s.Outputs["devices"].Value; output != nil {
		if err := json.Unmarshal(output, &recorded); err != nil {
			return nil, fmt.Errorf("terraform state: output devices: %w", err)
		}
	}
	devices := map[string]state.Device{}
	for _, r := range s.Resources {
		if !m.isServer(r) {
			continue
		}
		for _, i := range r.Instances {
			name, ok := i.IndexKey.(string)
			if !ok || i.Deposed != "" {
				continue
			}
			device := m.device(r, i, name, scope, recorded[name])
			if i.Status == state.Tainted {
				device.State = state.Tainted
			}
			devices[name] = device
		}
	}
	return devices, nil
}

func (m Module) isServer(r stateResource) bool {
	return r.Module == inRoot && r.Mode == "managed" && r.Type+"."+r.Name == m.Resource
}

// device evaluates the output for one instance as if it were the only one, so
// that what one lacks does not hide the others.
func (m Module) device(r stateResource, i stateInstance, name string, scope scope, recorded json.RawMessage) state.Device {
	attributes := instanceValue(i)
	alone := cty.ObjectVal(map[string]cty.Value{name: attributes})
	value, diags := m.devices.Value(scope.with(r.Type, r.Name, alone))
	if !diags.HasErrors() {
		if d, ok := toDevice(at(value, name)); ok {
			return d
		}
	}
	var known state.Device
	if json.Unmarshal(recorded, &known) == nil {
		return known
	}
	return state.Device{ID: text(at(attributes, "id"))}
}

// scope is the resources of the module in a state, by mode or type, then by
// type or name, as expressions refer to them.
type scope struct {
	managed, data map[string]map[string]cty.Value
}

// scope holds all resources but the servers.
func (m Module) scope(s stateFile) scope {
	sc := scope{map[string]map[string]cty.Value{}, map[string]map[string]cty.Value{}}
	for _, r := range s.Resources {
		if r.Module != inRoot || m.isServer(r) {
			continue
		}
		byType := sc.managed
		if r.Mode == "data" {
			byType = sc.data
		}
		if byType[r.Type] == nil {
			byType[r.Type] = map[string]cty.Value{}
		}
		byType[r.Type][r.Name] = resourceValue(r)
	}
	return sc
}

func (sc scope) with(kind, name string, server cty.Value) *hcl.EvalContext {
	variables := map[string]cty.Value{"data": objects(sc.data)}
	for t, byName := range sc.managed {
		variables[t] = cty.ObjectVal(byName)
	}
	byName := map[string]cty.Value{name: server}
	for n, v := range sc.managed[kind] {
		byName[n] = v
	}
	variables[kind] = cty.ObjectVal(byName)
	return &hcl.EvalContext{Variables: variables, Functions: functions}
}

func objects(byType map[string]map[string]cty.Value) cty.Value {
	values := map[string]cty.Value{}
	for t, byName := range byType {
		values[t] = cty.ObjectVal(byName)
	}
	return cty.ObjectVal(values)
}

// resourceValue is what an expression sees of a resource: an object by key
// with for_each, a list with count, else its one instance.
func resourceValue(r stateResource) cty.Value {
	byKey, list := map[string]cty.Value{}, []cty.Value{}
	for _, i := range r.Instances {
		switch key := i.IndexKey.(type) {
		case string:
			byKey[key] = instanceValue(i)
		case nil:
			return instanceValue(i)
		default:
			list = append(list, instanceValue(i))
		}
	}
	if len(list) > 0 {
		return cty.TupleVal(list)
	}
	return cty.ObjectVal(byKey)
}

func instanceValue(i stateInstance) cty.Value {
	t, err := ctyjson.ImpliedType(i.Attributes)
	if err != nil {
		return cty.EmptyObjectVal
	}
	v, err := ctyjson.Unmarshal(i.Attributes, t)
	if err != nil {
		return cty.EmptyObjectVal
	}
	return v
}

func toDevice(v cty.Value) (state.Device, bool) {
	d := state.Device{
		ID:             text(at(v, "id")),
		Address:        text(at(v, "address")),
		PrivateAddress: text(at(v, "private_address")),
		State:          text(at(v, "state")),
		Region:         text(at(v, "region")),
		Size:           text(at(v, "size")),
		Image:          text(at(v, "image")),
	}
	return d, d.ID != ""
}

// at returns an object's attribute or a map's element, or null.
func at(v cty.Value, name string) cty.Value {
	null := cty.NullVal(cty.String)
	v, _ = v.UnmarkDeep()
	if v.IsNull() || !v.IsKnown() {
		return null
	}
	switch t := v.Type(); {
	case t.IsObjectType() && t.HasAttribute(name):
		return v.GetAttr(name)
	case t.IsMapType() && v.HasIndex(cty.StringVal(name)).True():
		return v.Index(cty.StringVal(name))
	}
	return null
}

// text is a string, a number or a bool as a string; anything else is "".
func text(v cty.Value) string {
	s, err := convert.Convert(v, cty.String)
	if err != nil || s.IsNull() || !s.IsKnown() {
		return ""
	}
	var out string
	if err := gocty.FromCtyValue(s, &out); err != nil {
		return ""
	}
	return out
}

// Companions lists the addresses of what a Terraform state of the rendered root
// module holds beside servers, such as their user data.
func (m Module) Companions(stateJSON []byte) ([]string, error) {
	s, err := parseState(stateJSON)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, r := range s.Resources {
		if r.Mode != "managed" || m.isServer(r) {
			continue
		}
		for _, i := range r.Instances {
			address := r.Type + "." + r.Name
			if r.Module != "" {
				address = r.Module + "." + address
			}
			if i.IndexKey != nil {
				address += fmt.Sprintf("[%#v]", i.IndexKey)
			}
			left = append(left, address)
		}
	}
	return left, nil
}
