package plugin

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Schemas is what one provider can do, as `terraform providers schema -json`
// tells it. Nothing in it is peculiar to a provider.
type Schemas struct {
	Provider  *tfprotov6.Schema
	Resources map[string]*tfprotov6.Schema // by type
	Data      map[string]*tfprotov6.Schema // by type
}

// The JSON of `terraform providers schema -json`, format 1.0.
type (
	jsonSchemas struct {
		Providers map[string]jsonProvider `json:"provider_schemas"`
	}
	jsonProvider struct {
		Provider  *jsonSchema           `json:"provider"`
		Resources map[string]jsonSchema `json:"resource_schemas"`
		Data      map[string]jsonSchema `json:"data_source_schemas"`
	}
	jsonSchema struct {
		Version int64     `json:"version"`
		Block   jsonBlock `json:"block"`
	}
	jsonBlock struct {
		Attributes map[string]jsonAttribute `json:"attributes"`
		Blocks     map[string]jsonNested    `json:"block_types"`
		Deprecated bool                     `json:"deprecated"`
	}
	jsonAttribute struct {
		Type       json.RawMessage `json:"type"`
		Nested     *jsonObject     `json:"nested_type"`
		Required   bool            `json:"required"`
		Optional   bool            `json:"optional"`
		Computed   bool            `json:"computed"`
		Sensitive  bool            `json:"sensitive"`
		Deprecated bool            `json:"deprecated"`
		WriteOnly  bool            `json:"write_only"`
	}
	jsonObject struct {
		Attributes map[string]jsonAttribute `json:"attributes"`
		Nesting    string                   `json:"nesting_mode"`
	}
	jsonNested struct {
		Nesting string    `json:"nesting_mode"`
		Block   jsonBlock `json:"block"`
		Min     int64     `json:"min_items"`
		Max     int64     `json:"max_items"`
	}
)

// ParseSchemas reads the schemas of the provider with the given address.
func ParseSchemas(document []byte, address string) (*Schemas, error) {
	var all jsonSchemas
	if err := json.Unmarshal(document, &all); err != nil {
		return nil, fmt.Errorf("read schema of %s: %w", address, err)
	}
	p, ok := all.Providers[address]
	if !ok || p.Provider == nil {
		return nil, fmt.Errorf("read schema of %s: it is not in the document", address)
	}
	s := &Schemas{Resources: map[string]*tfprotov6.Schema{}, Data: map[string]*tfprotov6.Schema{}}
	var err error
	if s.Provider, err = p.Provider.convert(); err != nil {
		return nil, fmt.Errorf("read schema of %s: %w", address, err)
	}
	for name, r := range p.Resources {
		if s.Resources[name], err = r.convert(); err != nil {
			return nil, fmt.Errorf("read schema of %s, resource %s: %w", address, name, err)
		}
	}
	for name, d := range p.Data {
		if s.Data[name], err = d.convert(); err != nil {
			return nil, fmt.Errorf("read schema of %s, data source %s: %w", address, name, err)
		}
	}
	return s, nil
}

func (s jsonSchema) convert() (*tfprotov6.Schema, error) {
	block, err := s.Block.convert()
	return &tfprotov6.Schema{Version: s.Version, Block: block}, err
}

func (b jsonBlock) convert() (*tfprotov6.SchemaBlock, error) {
	attributes, err := convertAttributes(b.Attributes)
	if err != nil {
		return nil, err
	}
	block := &tfprotov6.SchemaBlock{Attributes: attributes, Deprecated: b.Deprecated}
	for _, name := range slices.Sorted(maps.Keys(b.Blocks)) {
		n := b.Blocks[name]
		nesting, ok := blockNesting[n.Nesting]
		if !ok {
			return nil, fmt.Errorf("block %s: unknown nesting mode %q", name, n.Nesting)
		}
		inner, err := n.Block.convert()
		if err != nil {
			return nil, fmt.Errorf("block %s: %w", name, err)
		}
		block.BlockTypes = append(block.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Block: inner, Nesting: nesting, MinItems: n.Min, MaxItems: n.Max,
		})
	}
	return block, nil
}

var blockNesting = map[string]tfprotov6.SchemaNestedBlockNestingMode{
	"single": tfprotov6.SchemaNestedBlockNestingModeSingle,
	"list":   tfprotov6.SchemaNestedBlockNestingModeList,
	"set":    tfprotov6.SchemaNestedBlockNestingModeSet,
	"map":    tfprotov6.SchemaNestedBlockNestingModeMap,
	"group":  tfprotov6.SchemaNestedBlockNestingModeGroup,
}

var objectNesting = map[string]tfprotov6.SchemaObjectNestingMode{
	"single": tfprotov6.SchemaObjectNestingModeSingle,
	"list":   tfprotov6.SchemaObjectNestingModeList,
	"set":    tfprotov6.SchemaObjectNestingModeSet,
	"map":    tfprotov6.SchemaObjectNestingModeMap,
}

func convertAttributes(attributes map[string]jsonAttribute) ([]*tfprotov6.SchemaAttribute, error) {
	var list []*tfprotov6.SchemaAttribute
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a, err := attributes[name].convert(name)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		list = append(list, a)
	}
	return list, nil
}

func (a jsonAttribute) convert(name string) (*tfprotov6.SchemaAttribute, error) {
	s := &tfprotov6.SchemaAttribute{
		Name: name, Required: a.Required, Optional: a.Optional, Computed: a.Computed,
		Sensitive: a.Sensitive, Deprecated: a.Deprecated, WriteOnly: a.WriteOnly,
	}
	if a.Nested == nil {
		//lint:ignore SA1019 The JSON is terraform's own, for which it was made.
		t, err := tftypes.ParseJSONType(a.Type)
		s.Type = t
		return s, err
	}
	nesting, ok := objectNesting[a.Nested.Nesting]
	if !ok {
		return nil, fmt.Errorf("unknown nesting mode %q", a.Nested.Nesting)
	}
	inner, err := convertAttributes(a.Nested.Attributes)
	s.NestedType = &tfprotov6.SchemaObject{Attributes: inner, Nesting: nesting}
	return s, err
}
