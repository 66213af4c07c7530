package schematest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"hangar/reconciler/simulator/plugin"
)

// provider behaves as any provider does, by its schemas, and by the little that
// facts tells beyond them.
type provider struct {
	schemas *plugin.Schemas
	cloud   string // URL
}

// Validate finds nothing wrong: the schema has said it all.
func (*provider) Validate(plugin.Object) []*tfprotov6.Diagnostic { return nil }

// Configure needs nothing: the cloud asks for no key.
func (*provider) Configure(plugin.Object) error { return nil }

// Resources are those of the schemas.
func (p *provider) Resources() map[string]plugin.Managed {
	all := map[string]plugin.Managed{}
	for kind, schema := range p.schemas.Resources {
		all[kind] = &resource{p, kind, schema}
	}
	return all
}

// Sources are the data sources of the schemas of which facts tells something.
func (p *provider) Sources() map[string]plugin.Source {
	all := map[string]plugin.Source{}
	for kind, schema := range p.schemas.Data {
		if _, known := sources[kind]; known {
			all[kind] = &dataSource{p, kind, schema}
		}
	}
	return all
}

// ask asks the cloud.
func (p *provider) ask(ctx context.Context, what string, r request) (a answer, err error) {
	text, err := json.Marshal(r)
	if err != nil {
		return a, err
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodPost, p.cloud+what, bytes.NewReader(text))
	if err != nil {
		return a, err
	}
	response, err := http.DefaultClient.Do(ask)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		return a, err
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

// resource is one type of resource.
type resource struct {
	*provider
	kind   string
	schema *tfprotov6.Schema
}

// Rules are mostly none: what changes is changed in place.
func (r *resource) Rules() plugin.Rules { return facts[r.kind].rules }

// Validate finds nothing wrong: the schema has said it all.
func (r *resource) Validate(plugin.Object) []*tfprotov6.Diagnostic { return nil }

// Create makes a thing: what is computed gets a value.
func (r *resource) Create(ctx context.Context, planned plugin.Object) (plugin.Object, error) {
	drawn, err := r.ask(ctx, "/draw", request{Kind: r.kind})
	if err != nil {
		return nil, err
	}
	made := maps.Clone(planned)
	values := facts[r.kind].values(drawn.Serial)
	for _, b := range r.schema.Block.BlockTypes {
		if value, told := values[b.TypeName]; told {
			made[b.TypeName] = value
		}
	}
	for _, a := range r.schema.Block.Attributes {
		value, told := values[a.Name]
		if plugin.Known(made[a.Name]) && (made[a.Name] != nil || !a.Computed && !told) {
			continue
		}
		switch {
		case told:
			made[a.Name] = value
		case a.Name == "id":
			made[a.Name] = fmt.Sprintf("00000000-0000-4000-8000-%012d", drawn.Serial)
		case a.Type != nil:
			made[a.Name] = empty(a.Type)
		default:
			made[a.Name] = nil
		}
	}
	if echo := facts[r.kind].echo; echo != nil {
		echo(made)
	}
	id, _ := made["id"].(string)
	_, err = r.ask(ctx, "/keep", request{Kind: r.kind, ID: id, State: made})
	if err != nil { // as most providers, it forgets what it made
		return nil, err
	}
	return made, nil
}

// empty is the value of a type that a computed attribute has.
func empty(t tftypes.Type) any {
	switch {
	case t.Is(tftypes.String):
		return ""
	case t.Is(tftypes.Bool):
		return false
	case t.Is(tftypes.Number):
		return 0.0
	case t.Is(tftypes.List{}), t.Is(tftypes.Set{}):
		return []any{}
	case t.Is(tftypes.Map{}):
		return plugin.Object{}
	}
	return nil
}

// Read tells what the cloud knows. What the API never tells is as it was before,
// and after an import not there.
func (r *resource) Read(ctx context.Context, prior plugin.Object) (plugin.Object, error) {
	id, _ := prior["id"].(string)
	found, err := r.ask(ctx, "/find", request{Kind: r.kind, ID: id})
	if err != nil || len(found.States) == 0 {
		return nil, err
	}
	now := found.States[0]
	for _, name := range facts[r.kind].untold {
		now[name] = prior[name]
	}
	for _, block := range r.schema.Block.BlockTypes {
		if _, told := facts[r.kind].computed[block.TypeName]; !told {
			now[block.TypeName] = prior[block.TypeName]
		}
	}
	return now, nil
}

// Update changes a thing in place.
func (r *resource) Update(ctx context.Context, prior, planned plugin.Object) (plugin.Object, error) {
	id, _ := prior["id"].(string)
	_, err := r.ask(ctx, "/keep", request{Kind: r.kind, ID: id, State: planned})
	return planned, err
}

// Delete removes a thing.
func (r *resource) Delete(ctx context.Context, prior plugin.Object) error {
	id, _ := prior["id"].(string)
	_, err := r.ask(ctx, "/drop", request{Kind: r.kind, ID: id})
	return err
}

// dataSource is one type of data source.
type dataSource struct {
	*provider
	kind   string
	schema *tfprotov6.Schema
}

// Read answers from what the cloud holds.
func (d *dataSource) Read(ctx context.Context, config plugin.Object) (plugin.Object, error) {
	s := sources[d.kind]
	found, err := d.ask(ctx, "/find", request{Kind: s.of})
	if err != nil {
		return nil, err
	}
	all := []plugin.Object{}
	for _, state := range found.States {
		if s.picks(config, state) {
			all = append(all, state)
		}
	}
	answer := maps.Clone(config)
	if s.list == "" {
		if len(all) == 0 {
			return nil, errors.New(strings.ReplaceAll(s.absent, "%s", fmt.Sprint(config["name"])))
		}
		if len(all) > 1 {
			return nil, fmt.Errorf("%s: %d are found, want one", d.kind, len(all))
		}
		for _, a := range d.schema.Block.Attributes {
			if value, told := all[0][a.Name]; told && answer[a.Name] == nil {
				answer[a.Name] = value
			}
		}
		return answer, nil
	}
	list := []any{}
	for _, state := range all {
		list = append(list, s.element(state))
	}
	answer["id"], answer[s.list] = d.kind, list
	return answer, nil
}
