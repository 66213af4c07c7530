package simulator

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// behaviour is what one stand-in provider does; its schemas say what it has.
type behaviour interface {
	// validate returns warnings and errors about the provider's configuration.
	validate(config object) []*tfprotov6.Diagnostic
	configure(config object) error
	resources() map[string]managed
	sources() map[string]source
}

// managed is the life of one kind of resource.
type managed interface {
	rules() rules
	validate(config object) []*tfprotov6.Diagnostic
	// create returns the state to keep, also beside an error; nil: none.
	create(ctx context.Context, planned object) (object, error)
	// read returns nil for what is no longer there.
	read(ctx context.Context, prior object) (object, error)
	update(ctx context.Context, prior, planned object) (object, error)
	delete(ctx context.Context, prior object) error
}

// source is one kind of data source.
type source interface {
	read(ctx context.Context, config object) (object, error)
}

// server speaks Terraform's plugin protocol 6 for a behaviour.
type server struct {
	tfprotov6.ProviderServer // nil: what the schemas do not offer is never called

	schemas *schemas
	provider
	stopped context.Context
	stop    context.CancelFunc
}

// provider is a behaviour with its resources and sources at hand.
type provider struct {
	behaviour
	managed map[string]managed
	source  map[string]source
}

func newServer(s *schemas, b behaviour) *server {
	stopped, stop := context.WithCancel(context.Background())
	return &server{
		schemas: s, stopped: stopped, stop: stop,
		provider: provider{behaviour: b, managed: b.resources(), source: b.sources()},
	}
}

// GetMetadata lists resources and data sources.
func (s *server) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	response := &tfprotov6.GetMetadataResponse{ServerCapabilities: &tfprotov6.ServerCapabilities{}}
	for name := range s.schemas.resources {
		response.Resources = append(response.Resources, tfprotov6.ResourceMetadata{TypeName: name})
	}
	for name := range s.schemas.data {
		response.DataSources = append(response.DataSources, tfprotov6.DataSourceMetadata{TypeName: name})
	}
	return response, nil
}

// GetProviderSchema returns all schemas.
func (s *server) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	return &tfprotov6.GetProviderSchemaResponse{
		ServerCapabilities: &tfprotov6.ServerCapabilities{},
		Provider:           s.schemas.provider,
		ResourceSchemas:    s.schemas.resources,
		DataSourceSchemas:  s.schemas.data,
	}, nil
}

// GetResourceIdentitySchemas returns none.
func (s *server) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

// GetFunctions returns none.
func (s *server) GetFunctions(context.Context, *tfprotov6.GetFunctionsRequest) (*tfprotov6.GetFunctionsResponse, error) {
	return &tfprotov6.GetFunctionsResponse{}, nil
}

// ValidateProviderConfig passes the configuration on as it is.
func (s *server) ValidateProviderConfig(_ context.Context, r *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	config, err := decode(s.schemas.provider, r.Config)
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: r.Config, Diagnostics: s.validate(config)}, nil
}

// ConfigureProvider readies the provider for the calls that follow.
func (s *server) ConfigureProvider(_ context.Context, r *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	config, err := decode(s.schemas.provider, r.Config)
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ConfigureProviderResponse{Diagnostics: failure(s.configure(config))}, nil
}

// StopProvider interrupts every call in flight: terraform was interrupted.
func (s *server) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	s.stop()
	return &tfprotov6.StopProviderResponse{}, nil
}

// ValidateDataResourceConfig finds nothing wrong: the schema has said it all.
func (s *server) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

// ReadDataSource reads a data source.
func (s *server) ReadDataSource(ctx context.Context, r *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	schema, source := s.schemas.data[r.TypeName], s.source[r.TypeName]
	if schema == nil || source == nil {
		return nil, fmt.Errorf("no data source %s", r.TypeName)
	}
	config, err := decode(schema, r.Config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.interruptible(ctx)
	defer cancel()
	found, err := source.read(ctx, config)
	if err != nil {
		return &tfprotov6.ReadDataSourceResponse{Diagnostics: failure(err)}, nil
	}
	wire, err := encode(schema, found)
	return &tfprotov6.ReadDataSourceResponse{State: wire}, err
}

// interruptible derives a context that StopProvider cancels.
func (s *server) interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(s.stopped, cancel)
	return ctx, cancel
}

// failure tells terraform of an error; none for nil.
func failure(err error) []*tfprotov6.Diagnostic {
	if err == nil {
		return nil
	}
	return []*tfprotov6.Diagnostic{{Severity: tfprotov6.DiagnosticSeverityError, Summary: err.Error()}}
}

// warning tells terraform of something unwise; attribute may be empty.
func warning(summary, detail, attribute string) *tfprotov6.Diagnostic {
	d := &tfprotov6.Diagnostic{Severity: tfprotov6.DiagnosticSeverityWarning, Summary: summary, Detail: detail}
	if attribute != "" {
		d.Attribute = tftypes.NewAttributePath().WithAttributeName(attribute)
	}
	return d
}
