package plugin

//lint:file-ignore SA1019 The real provider is built on the SDK with the legacy type system, and says so.

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// kind finds a resource's schema and life.
func (s *server) kind(name string) (*tfprotov6.Schema, Managed, error) {
	schema, life := s.schemas.Resources[name], s.managed[name]
	if schema == nil || life == nil {
		return nil, nil, fmt.Errorf("no resource %s", name)
	}
	return schema, life, nil
}

// ValidateResourceConfig returns warnings and errors about a configuration.
func (s *server) ValidateResourceConfig(_ context.Context, r *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	schema, life, err := s.kind(r.TypeName)
	if err != nil {
		return nil, err
	}
	config, err := decode(schema, r.Config)
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ValidateResourceConfigResponse{Diagnostics: life.Validate(config)}, nil
}

// UpgradeResourceState reads a state as it is: there is one schema version.
func (s *server) UpgradeResourceState(_ context.Context, r *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	schema, _, err := s.kind(r.TypeName)
	if err != nil {
		return nil, err
	}
	value, err := r.RawState.UnmarshalWithOpts(schema.ValueType(), tfprotov6.UnmarshalOpts{
		ValueFromJSONOpts: tftypes.ValueFromJSONOpts{IgnoreUndefinedAttributes: true},
	})
	if err != nil {
		return nil, err
	}
	wire, err := tfprotov6.NewDynamicValue(schema.ValueType(), value)
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: &wire}, err
}

// ImportResourceState returns a state that holds the id alone. Terraform
// reads the rest.
func (s *server) ImportResourceState(_ context.Context, r *tfprotov6.ImportResourceStateRequest) (*tfprotov6.ImportResourceStateResponse, error) {
	schema, _, err := s.kind(r.TypeName)
	if err != nil {
		return nil, err
	}
	imported := Object{"id": r.ID}
	for _, b := range schema.Block.BlockTypes {
		if b.Nesting == tfprotov6.SchemaNestedBlockNestingModeList || b.Nesting == tfprotov6.SchemaNestedBlockNestingModeSet {
			imported[b.TypeName] = []any{}
		}
	}
	wire, err := encode(schema, imported)
	return &tfprotov6.ImportResourceStateResponse{
		ImportedResources: []*tfprotov6.ImportedResource{{TypeName: r.TypeName, State: wire}},
	}, err
}

// ReadResource refreshes a state.
func (s *server) ReadResource(ctx context.Context, r *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	schema, life, err := s.kind(r.TypeName)
	if err != nil {
		return nil, err
	}
	prior, err := decode(schema, r.CurrentState)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.interruptible(ctx)
	defer cancel()
	now, err := life.Read(ctx, prior)
	if err != nil {
		return &tfprotov6.ReadResourceResponse{NewState: r.CurrentState, Diagnostics: failure(err)}, nil
	}
	wire, err := encode(schema, now)
	return &tfprotov6.ReadResourceResponse{NewState: wire, Private: r.Private}, err
}

// PlanResourceChange plans. UnsafeToUseLegacyTypeSystem is what every
// provider made with terraform-plugin-sdk answers: it may then return null
// where it planned an empty string, and terraform has it ignore changes once more.
func (s *server) PlanResourceChange(_ context.Context, r *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	schema, life, err := s.kind(r.TypeName)
	if err != nil {
		return nil, err
	}
	proposed, err := decode(schema, r.ProposedNewState)
	if err != nil {
		return nil, err
	}
	if proposed == nil { // a destroy
		return &tfprotov6.PlanResourceChangeResponse{PlannedState: r.ProposedNewState, UnsafeToUseLegacyTypeSystem: true}, nil
	}
	prior, err := decode(schema, r.PriorState)
	if err != nil {
		return nil, err
	}
	config, err := decode(schema, r.Config)
	if err != nil {
		return nil, err
	}
	rules := life.Rules()
	planned, replace := rules.plan(schema, prior, config, proposed)
	response := &tfprotov6.PlanResourceChangeResponse{PlannedPrivate: r.PriorPrivate, UnsafeToUseLegacyTypeSystem: !rules.Strict}
	for _, name := range replace {
		response.RequiresReplace = append(response.RequiresReplace, tftypes.NewAttributePath().WithAttributeName(name))
	}
	response.PlannedState, err = encode(schema, planned)
	return response, err
}

// ApplyResourceChange creates, updates or destroys.
func (s *server) ApplyResourceChange(ctx context.Context, r *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	schema, life, err := s.kind(r.TypeName)
	if err != nil {
		return nil, err
	}
	prior, err := decode(schema, r.PriorState)
	if err != nil {
		return nil, err
	}
	planned, err := decode(schema, r.PlannedState)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.interruptible(ctx)
	defer cancel()
	var after Object
	var failed error
	switch {
	case planned == nil:
		if failed = life.Delete(ctx, prior); failed != nil {
			after = prior
		}
	case prior == nil:
		after, failed = life.Create(ctx, planned)
	default:
		after, failed = life.Update(ctx, prior, planned)
	}
	wire, err := encode(schema, after)
	return &tfprotov6.ApplyResourceChangeResponse{
		NewState: wire, Private: r.PlannedPrivate, Diagnostics: failure(failed), UnsafeToUseLegacyTypeSystem: !life.Rules().Strict,
	}, err
}
