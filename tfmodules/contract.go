package tfmodules

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// parse reads the module's configuration and says what it lacks, all at once.
func (m *Module) parse() error {
	blocks, err := m.blocks(".")
	if err != nil {
		return err
	}
	m.Providers, err = findProviders(blocks)
	errs := []error{err}
	for _, check := range []func([]*hclsyntax.Block) error{m.findVariables, m.findResource, m.findOutput} {
		errs = append(errs, check(blocks))
	}
	return errors.Join(append(errs, m.findCensus())...)
}

// hasFolder says whether the module has configuration in a folder of its own.
func (m *Module) hasFolder(folder string) bool {
	for p := range m.files {
		if path.Dir(p) == folder && path.Ext(p) == ".tf" {
			return true
		}
	}
	return false
}

// blocks returns the top-level blocks of one of the module's folders.
func (m *Module) blocks(folder string) ([]*hclsyntax.Block, error) {
	var blocks []*hclsyntax.Block
	for _, p := range slices.Sorted(maps.Keys(m.files)) {
		if path.Dir(p) != folder || path.Ext(p) != ".tf" {
			continue
		}
		f, diags := hclsyntax.ParseConfig(m.files[p], p, hcl.InitialPos)
		if diags.HasErrors() {
			return nil, diags
		}
		blocks = append(blocks, f.Body.(*hclsyntax.Body).Blocks...)
	}
	if len(blocks) == 0 {
		return nil, errors.New("there is no configuration: no .tf file with a block in it")
	}
	return blocks, nil
}

func findProviders(blocks []*hclsyntax.Block) ([]Provider, error) {
	var errs []error
	var providers []Provider
	for _, b := range nested(blocks, "terraform", "required_providers") {
		for name, attr := range b.Body.Attributes {
			v, diags := attr.Expr.Value(nil)
			// A module that passes providers on names them in
			// configuration_aliases, which is no value.
			if diags.HasErrors() || !v.Type().IsObjectType() {
				errs = append(errs, fmt.Errorf("provider %s: want { source = ..., version = ... }", name))
				continue
			}
			p := Provider{Name: name, Source: stringAttr(v, "source"), Version: stringAttr(v, "version")}
			if strings.Count(p.Source, "/") != 2 {
				errs = append(errs, fmt.Errorf("provider %s: source %q is not written in full, like registry.terraform.io/equinix/equinix", name, p.Source))
			}
			if p.Version == "" {
				errs = append(errs, fmt.Errorf("provider %s: it has no version", name))
			}
			providers = append(providers, p)
		}
	}
	slices.SortFunc(providers, func(a, b Provider) int { return strings.Compare(a.Name, b.Name) })
	return providers, errors.Join(errs...)
}

func (m *Module) findVariables(blocks []*hclsyntax.Block) error {
	all := variables(blocks)
	m.Variables = slices.DeleteFunc(slices.Clone(all), func(v Variable) bool { return v.Name == "devices" })
	if len(m.Variables) == len(all) {
		return errors.New(`variable "devices" is missing: map(object({ user_data = string, tags = list(string) }))`)
	}
	return nil
}

// variables lists the variables, in order of names.
func variables(blocks []*hclsyntax.Block) []Variable {
	var found []Variable
	for _, b := range blocks {
		if b.Type == "variable" && len(b.Labels) == 1 {
			_, optional := b.Body.Attributes["default"]
			found = append(found, Variable{Name: b.Labels[0], Required: !optional})
		}
	}
	slices.SortFunc(found, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	return found
}

func (m *Module) findResource(blocks []*hclsyntax.Block) error {
	var servers []*hclsyntax.Block
	for _, b := range blocks {
		if b.Type != "resource" || len(b.Labels) != 2 {
			continue
		}
		each, ok := b.Body.Attributes["for_each"]
		switch {
		case !ok:
		case isTraversal(each.Expr, "var", "devices"):
			servers = append(servers, b)
		case keysOfDevices(each.Expr):
			m.companions = append(m.companions, strings.Join(b.Labels, "."))
		}
	}
	if len(servers) != 1 {
		return fmt.Errorf("%d resources have for_each = var.devices: exactly one must, the one that is a server", len(servers))
	}
	server := servers[0]
	m.Resource = strings.Join(server.Labels, ".")
	m.Provider = m.providerOf(server)
	if !ignoresAll(server) {
		return fmt.Errorf("resource %s does not have lifecycle { ignore_changes = all }: a changed attribute would replace a working server", m.Resource)
	}
	return nil
}

// keysOfDevices says whether an expression is toset(keys(var.devices)), perhaps on
// a condition: what has it for for_each belongs to the servers, one to each.
func keysOfDevices(expr hclsyntax.Expression) bool {
	if either, ok := expr.(*hclsyntax.ConditionalExpr); ok {
		return keysOfDevices(either.TrueResult) || keysOfDevices(either.FalseResult)
	}
	for _, name := range []string{"toset", "keys"} {
		call, ok := expr.(*hclsyntax.FunctionCallExpr)
		if !ok || call.Name != name || len(call.Args) != 1 {
			return false
		}
		expr = call.Args[0]
	}
	return isTraversal(expr, "var", "devices")
}

// CompanionOf is the server to which the resource at an address of the rendered
// root module belongs; empty: it belongs to none, or is one.
func (m Module) CompanionOf(address string) (server string) {
	for _, resource := range m.companions {
		if key, ok := strings.CutPrefix(address, inRoot+"."+resource+"["); ok {
			server, _ = strconv.Unquote(strings.TrimSuffix(key, "]"))
		}
	}
	return server
}

// providerOf finds the local name of a resource's provider, as Terraform
// does: it says so, or the type's first word is the name.
func (m *Module) providerOf(resource *hclsyntax.Block) string {
	name, _, _ := strings.Cut(resource.Labels[0], "_")
	if attr, ok := resource.Body.Attributes["provider"]; ok {
		if vars := attr.Expr.Variables(); len(vars) == 1 {
			name = vars[0].RootName()
		}
	}
	for _, p := range m.Providers {
		if p.Name == name {
			return name
		}
	}
	return ""
}

func (m *Module) findOutput(blocks []*hclsyntax.Block) error {
	for _, b := range blocks {
		if b.Type != "output" || len(b.Labels) != 1 || b.Labels[0] != "devices" {
			continue
		}
		value, ok := b.Body.Attributes["value"]
		if !ok {
			return errors.New(`output "devices" has no value`)
		}
		m.devices = value.Expr
		return nil
	}
	return errors.New(`output "devices" is missing: map(object({ id, address, private_address, state, region, size, image })), by name of server`)
}

func ignoresAll(resource *hclsyntax.Block) bool {
	for _, b := range nested([]*hclsyntax.Block{resource}, "resource", "lifecycle") {
		if attr, ok := b.Body.Attributes["ignore_changes"]; ok && isTraversal(attr.Expr, "all") {
			return true
		}
	}
	return false
}

// nested returns the blocks of type inner in the blocks of type outer.
func nested(blocks []*hclsyntax.Block, outer, inner string) []*hclsyntax.Block {
	var found []*hclsyntax.Block
	for _, o := range blocks {
		if o.Type != outer {
			continue
		}
		for _, i := range o.Body.Blocks {
			if i.Type == inner {
				found = append(found, i)
			}
		}
	}
	return found
}

// isTraversal says whether expr is exactly the names, joined by dots.
func isTraversal(expr hclsyntax.Expression, names ...string) bool {
	t, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() || len(t) != len(names) || t.RootName() != names[0] {
		return false
	}
	for i, name := range names[1:] {
		attr, ok := t[i+1].(hcl.TraverseAttr)
		if !ok || attr.Name != name {
			return false
		}
	}
	return true
}

func stringAttr(object cty.Value, name string) string {
	if !object.Type().HasAttribute(name) {
		return ""
	}
	v := object.GetAttr(name)
	if v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}
