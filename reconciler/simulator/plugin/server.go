package plugin

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Behaviour is what one stand-in provider does; its schemas say what it has.
type Behaviour interface {
	// Validate returns warnings and errors about the provider's configuration.
	Validate(config Object) []*tfprotov6.Diagnostic
	Configure(config Object) error
	Resources() map[string]Managed
	Sources() map[string]Source
}

// Managed is the life of one kind of resource.
type Managed interface {
	Rules() Rules
	Validate(config Object) []*tfprotov6.Diagnostic
	// Create returns the state to keep, also beside an error; nil: none.
	Create(ctx context.Context, planned Object) (Object, error)
	// Read returns nil for what is no longer there.
	Read(ctx context.Context, prior Object) (Object, error)
	Update(ctx context.Context, prior, planned Object) (Object, error)
	Delete(ctx context.Context, prior Object) error
}

// Source is one kind of data source.
type Source interface {
	Read(ctx context.Context, config Object) (Object, error)
}

// server speaks Terraform's plugin protocol 6 for a behaviour.
type server struct {
	tfprotov6.ProviderServer // nil: what the schemas do not offer is never called

	schemas *Schemas
	provider
	stopped context.Context
	stop    context.CancelFunc
}

// provider is a behaviour with its resources and sources at hand.
type provider struct {
	Behaviour
	managed map[string]Managed
	source  map[string]Source
}

// New returns a server of the schemas that behaves so.
func New(s *Schemas, b Behaviour) tfprotov6.ProviderServer {
	stopped, stop := context.WithCancel(context.Background())
	return &server{
		schemas: s, stopped: stopped, stop: stop,
		provider: provider{Behaviour: b, managed: b.Resources(), source: b.Sources()},
	}
}

// GetMetadata lists resources and data sources.
func (s *server) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	response := &tfprotov6.GetMetadataResponse{ServerCapabilities: &tfprotov6.ServerCapabilities{}}
	for name := range s.schemas.Resources {
		response.Resources = append(response.Resources, tfprotov6.ResourceMetadata{TypeName: name})
	}
	for name := range s.schemas.Data {
		response.DataSources = append(response.DataSources, tfprotov6.DataSourceMetadata{TypeName: name})
	}
	return response, nil
}

// GetProviderSchema returns all schemas.
func (s *server) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	return &tfprotov6.GetProviderSchemaResponse{
		ServerCapabilities: &tfprotov6.ServerCapabilities{},
		Provider:           s.schemas.Provider,
		ResourceSchemas:    s.schemas.Resources,
		DataSourceSchemas:  s.schemas.Data,
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
	config, err := decode(s.schemas.Provider, r.Config)
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: r.Config, Diagnostics: s.Validate(config)}, nil
}

// ConfigureProvider readies the provider for the calls that follow.
func (s *server) ConfigureProvider(_ context.Context, r *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	config, err := decode(s.schemas.Provider, r.Config)
	if err != nil {
		return nil, err
	}
	return &tfprotov6.ConfigureProviderResponse{Diagnostics: failure(s.Configure(config))}, nil
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
	schema, source := s.schemas.Data[r.TypeName], s.source[r.TypeName]
	if schema == nil || source == nil {
		return nil, fmt.Errorf("no data source %s", r.TypeName)
	}
	config, err := decode(schema, r.Config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.interruptible(ctx)
	defer cancel()
	found, err := source.Read(ctx, config)
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
	said, ok := errors.AsType[*Error](err)
	if !ok {
		said = &Error{Summary: err.Error()}
	}
	return []*tfprotov6.Diagnostic{{Severity: tfprotov6.DiagnosticSeverityError, Summary: said.Summary, Detail: said.Detail}}
}

// Error is one that terraform shows in two parts.
type Error struct{ Summary, Detail string }

func (e *Error) Error() string { return e.Summary + ": " + e.Detail }

// Warning tells terraform of something unwise; attribute may be empty.
func Warning(summary, detail, attribute string) *tfprotov6.Diagnostic {
	d := &tfprotov6.Diagnostic{Severity: tfprotov6.DiagnosticSeverityWarning, Summary: summary, Detail: detail}
	if attribute != "" {
		d.Attribute = tftypes.NewAttributePath().WithAttributeName(attribute)
	}
	return d
}
