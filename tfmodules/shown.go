package tfmodules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"hangar/state"
)

// State is what a Terraform state says, fit to be shown: a Secret stands where
// a secret was.
type State struct {
	Serial    int64          `json:"serial"`
	Lineage   string         `json:"lineage"`
	Terraform string         `json:"terraform_version"`
	Resources []Resource     `json:"resources"` // by address, in the order of the state
	Outputs   map[string]any `json:"outputs"`
}

// Resource is one instance of a resource.
type Resource struct {
	Address    string         `json:"address"` // as terraform state list tells it
	Mode       string         `json:"mode"`    // managed, data
	Type       string         `json:"type"`
	Name       string         `json:"name"`
	Status     string         `json:"status,omitempty"`  // Tainted, or empty
	Deposed    string         `json:"deposed,omitempty"` // key of one whose address another has taken
	Attributes map[string]any `json:"attributes"`
}

// Label is the address with what sets the instance apart from others.
func (r Resource) Label() string {
	label := r.Address
	if r.Deposed != "" {
		label += " (deposed " + r.Deposed + ")"
	}
	if r.Status != "" {
		label += " (" + r.Status + ")"
	}
	return label
}

// ReadState reads a state to be shown. Secrets are what the state marks
// (sensitive_attributes, outputs that are sensitive) and, since that depends
// on the provider and on terraform's version, whatever is named like one
// (state.SecretName), all attributes of a resource of such a type included.
// ErrIncomplete as ParseState.
func ReadState(stateJSON []byte) (State, error) {
	file, err := parseState(stateJSON)
	if err != nil {
		return State{}, err
	}
	shown := State{Serial: file.Serial, Lineage: file.Lineage, Terraform: file.Terraform, Resources: []Resource{}, Outputs: map[string]any{}}
	for name, output := range file.Outputs {
		value, err := decode(output.Value)
		if err != nil {
			return State{}, fmt.Errorf("terraform state: output %s: %w", name, err)
		}
		shown.Outputs[name] = hide(value, &mark{all: output.Sensitive || state.SecretName(name)})
	}
	for _, r := range file.Resources {
		for _, i := range r.Instances {
			resource, err := show(r, i)
			if err != nil {
				return State{}, fmt.Errorf("terraform state: %s: %w", resource.Label(), err)
			}
			shown.Resources = append(shown.Resources, resource)
		}
	}
	return shown, nil
}

func show(r stateResource, i stateInstance) (Resource, error) {
	shown := Resource{
		Address: address(r, i.IndexKey), Mode: r.Mode, Type: r.Type, Name: r.Name,
		Status: i.Status, Deposed: i.Deposed, Attributes: map[string]any{},
	}
	value, err := decode(i.Attributes)
	if err != nil {
		return shown, err
	}
	attributes, ok := value.(map[string]any)
	if !ok && value != nil {
		return shown, fmt.Errorf("its attributes are no object")
	}
	secret := marked(i.Sensitive)
	secret.all = secret.all || state.SecretName(r.Type)
	for name, value := range attributes {
		shown.Attributes[name] = hide(value, secret.at(name))
	}
	return shown, nil
}

// address is the address of an instance, as terraform writes it.
func address(r stateResource, key any) string {
	a := r.Type + "." + r.Name
	if r.Mode == "data" {
		a = "data." + a
	}
	if r.Module != "" {
		a = r.Module + "." + a
	}
	switch key := key.(type) {
	case string:
		a += "[" + strconv.Quote(key) + "]"
	case float64:
		a += "[" + strconv.FormatFloat(key, 'f', -1, 64) + "]"
	}
	return a
}

// decode keeps numbers as they are written: an id can be longer than a float
// is exact.
func decode(raw json.RawMessage) (v any, err error) {
	if raw == nil {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// Find returns the resources at an address: a deposed one has the address of
// what took its place.
func (s State) Find(address string) []Resource {
	return slices.DeleteFunc(slices.Clone(s.Resources), func(r Resource) bool { return r.Address != address })
}
