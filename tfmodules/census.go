package tfmodules

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// Where a module keeps its census, or, when its provider can list nothing, what
// finds one device by its name instead.
const (
	censusFolder = "census"
	lookupFolder = "lookup"
)

// Census is the part of a module that tells what exists at the provider. The
// contract: it takes tag, which all that it finds carry, and perhaps known,
// ids of what is found whatever its tags; and outputs found, a list of what is
// known of each device. Its other variables are settings of the module. It
// makes nothing.
//
// A lookup is a census of one device: it takes name instead of tag, and also
// outputs absent, a regular expression by which the provider's error is known when
// there is no such device.
type Census struct {
	Folder    string         // in the module
	Providers []Provider     // what it requires, in order of local names
	Variables []Variable     // in order of names; tag, known and name are not among them
	Known     bool           // it takes known
	Absent    *regexp.Regexp // of a lookup; nil: it is none
}

// ByName says whether it is a lookup.
func (c *Census) ByName() bool { return c.Folder == lookupFolder }

// findCensus reads the census, or else the lookup, if the module has one, and says
// what it lacks.
func (m *Module) findCensus() error {
	folder := censusFolder
	if !m.hasFolder(folder) {
		folder = lookupFolder
	}
	if !m.hasFolder(folder) {
		return nil
	}
	errs := []error{}
	blocks, err := m.blocks(folder)
	if err == nil {
		m.Census = &Census{Folder: folder}
		m.Census.Providers, err = findProviders(blocks)
		errs = append(errs, err, m.findCensusVariables(blocks), findCensusOutput(blocks), findNoResource(blocks))
		if m.Census.ByName() {
			m.Census.Absent, err = findAbsent(blocks)
			errs = append(errs, err)
		}
	} else {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return prefixed(folder, err)
	}
	return nil
}

// findAbsent reads by what an error is known that says that there is nothing.
func findAbsent(blocks []*hclsyntax.Block) (*regexp.Regexp, error) {
	for _, b := range blocks {
		if b.Type != "output" || len(b.Labels) != 1 || b.Labels[0] != "absent" || b.Body.Attributes["value"] == nil {
			continue
		}
		v, diags := b.Body.Attributes["value"].Expr.Value(nil)
		if diags.HasErrors() || v.Type() != cty.String || v.AsString() == "" {
			break
		}
		absent, err := regexp.Compile(v.AsString())
		if err != nil {
			return nil, fmt.Errorf(`output "absent": %w`, err)
		}
		return absent, nil
	}
	return nil, errors.New(`output "absent" is missing: a regular expression, written out, of the provider's error where there is no such device`)
}

// prefixed puts the name of a folder before each of the joined errors.
func prefixed(folder string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s: %w", folder, err)
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, prefixed(folder, e))
	}
	return errors.Join(errs...)
}

func (m *Module) findCensusVariables(blocks []*hclsyntax.Block) error {
	var errs []error
	by, asked := "tag", false
	if m.Census.ByName() {
		by = "name"
	}
	for _, v := range variables(blocks) {
		switch {
		case v.Name == by:
			asked = true
		case v.Name == "known" && !m.Census.ByName():
			m.Census.Known = true
			if v.Required {
				errs = append(errs, errors.New(`variable "known" has no default: it is not always given`))
			}
		default:
			m.Census.Variables = append(m.Census.Variables, v)
			if v.Required && !m.hasSetting(v.Name) {
				errs = append(errs, fmt.Errorf("variable %q has no default and is no setting of the module", v.Name))
			}
		}
	}
	if !asked {
		errs = append(errs, fmt.Errorf("variable %q is missing: string", by))
	}
	return errors.Join(errs...)
}

func (m *Module) hasSetting(name string) bool {
	return slices.ContainsFunc(m.Variables, func(v Variable) bool { return v.Name == name })
}

func findCensusOutput(blocks []*hclsyntax.Block) error {
	for _, b := range blocks {
		if b.Type != "output" || len(b.Labels) != 1 || b.Labels[0] != "found" {
			continue
		}
		if _, ok := b.Body.Attributes["value"]; !ok {
			return errors.New(`output "found" has no value`)
		}
		if isTrue(b.Body.Attributes["sensitive"]) {
			return errors.New(`output "found" must not be sensitive: it could not be read`)
		}
		return nil
	}
	return errors.New(`output "found" is missing: list(object({ id, hostname, server, stack, instance, address, state }))`)
}

func isTrue(attr *hclsyntax.Attribute) bool {
	if attr == nil {
		return false
	}
	v, diags := attr.Expr.Value(nil)
	return !diags.HasErrors() && v.RawEquals(cty.True)
}

// findNoResource refuses what a census could make, if ever somebody applied it.
func findNoResource(blocks []*hclsyntax.Block) error {
	var errs []error
	for _, b := range blocks {
		if b.Type == "resource" {
			errs = append(errs, fmt.Errorf("resource %s: a census only looks, with data sources", strings.Join(b.Labels, ".")))
		}
	}
	return errors.Join(errs...)
}

// CensusRoot is the root module of a census that is to be rendered.
type CensusRoot struct {
	Module   Module         // which has a census
	Settings map[string]any // of the module; those that its census takes are used
	Provider map[string]any // settings of the provider block; nothing secret
	Tag      string
	Name     string   // of a lookup, instead of the tag
	Known    []string // ids; left out where the census does not take them
}

// RenderCensus writes the root module of a census, formatted as terraform fmt
// would. Its output found is JSON in base64: so it is one line without escapes
// in what terraform plan prints, and can be read there, with nothing saved.
func RenderCensus(root CensusRoot) ([]byte, error) {
	settings, err := root.settings()
	if err != nil {
		return nil, err
	}
	census := root.Module.Census
	file, body := newRoot()
	appendProviders(body, census.Providers)
	if err := appendProvider(body, root.Module.censusProvider(), root.Provider); err != nil {
		return nil, err
	}
	body.AppendNewline()
	module := body.AppendNewBlock("module", []string{"census"}).Body()
	module.SetAttributeValue("source", cty.StringVal("../../modules/"+root.Module.Folder()+"/"+census.Folder))
	if census.ByName() {
		module.SetAttributeValue("name", cty.StringVal(root.Name))
	} else {
		module.SetAttributeValue("tag", cty.StringVal(root.Tag))
	}
	if census.Known && len(root.Known) > 0 {
		ids, err := toCty(root.Known)
		if err != nil {
			return nil, err
		}
		module.SetAttributeValue("known", ids)
	}
	if err := setAttributes(module, settings); err != nil {
		return nil, fmt.Errorf("module %s: %w", root.Module.Name, err)
	}
	found := hclwrite.TokensForTraversal(traversal("module", "census", "found"))
	body.AppendNewline()
	body.AppendNewBlock("output", []string{"found"}).Body().SetAttributeRaw("value",
		hclwrite.TokensForFunctionCall("base64encode", hclwrite.TokensForFunctionCall("jsonencode", found)))
	return hclwrite.Format(file.Bytes()), nil
}

// settings are those that the census takes.
func (root CensusRoot) settings() (map[string]any, error) {
	name := root.Module.Name
	if root.Module.Census == nil {
		return nil, fmt.Errorf("module %s has no census", name)
	}
	switch byName := root.Module.Census.ByName(); {
	case byName && root.Name == "":
		return nil, fmt.Errorf("module %s: a lookup without a name would find anything", name)
	case !byName && root.Tag == "":
		return nil, fmt.Errorf("module %s: a census without a tag would find everything", name)
	}
	var errs []error
	taken := map[string]any{}
	for _, v := range root.Module.Census.Variables {
		value, ok := root.Settings[v.Name]
		switch {
		case ok && root.Module.hasSetting(v.Name):
			taken[v.Name] = value
		case v.Required:
			errs = append(errs, fmt.Errorf("module %s: setting %s is missing, which its census takes", name, v.Name))
		}
	}
	return taken, errors.Join(errs...)
}

// Scope names what a census of the module with these settings looks through:
// two that see the same devices have the same one.
func (m Module) Scope(settings map[string]any) (string, error) {
	taken := settings
	if m.Census != nil {
		taken = map[string]any{}
		for _, v := range m.Census.Variables {
			if value, ok := settings[v.Name]; ok && m.hasSetting(v.Name) {
				taken[v.Name] = value
			}
		}
	}
	text, err := json.Marshal(taken) // in order of names
	return m.Name + " " + string(text), err
}

// censusProvider is the census's local name of the provider that makes the
// servers, whose settings hangar knows; empty: it does not require it.
func (m Module) censusProvider() string {
	for _, own := range m.Providers {
		for _, p := range m.Census.Providers {
			if own.Name == m.Provider && own.Source == p.Source {
				return p.Name
			}
		}
	}
	return ""
}
