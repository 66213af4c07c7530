package pools

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"hangar/state"
	"hangar/tfmodules"
)

// candidates reads where a pool's servers come from.
func (r *reader) candidates(block *hclsyntax.Block, s poolShape, p *pool) {
	ref := r.env.Module
	set(&ref, s.Module)
	settings := r.object(s.Settings)
	blocks := nested(block, "candidate")
	if len(s.Candidates) == 0 {
		m, err := r.module(ref)
		if err == nil {
			p.Candidates, err = r.standard(p.Pool, m, settings)
			r.wrong(at(block, "env"), r.pass(m.Name, s.Env))
		}
		r.wrong(at(block, "module"), err)
	}
	if len(blocks) != len(s.Candidates) {
		return
	}
	names := map[string]bool{}
	for i, shape := range s.Candidates {
		own := ref
		set(&own, shape.Module)
		place := at(blocks[i], "module")
		if shape.Module == nil {
			place = at(block, "module")
		}
		m, err := r.module(own)
		if err != nil {
			r.wrong(place, err)
			continue
		}
		if own == ref {
			r.wrong(at(block, "env"), r.pass(m.Name, s.Env))
		}
		r.wrong(at(blocks[i], "env"), r.pass(m.Name, shape.Env))
		k := r.candidate(blocks[i], shape, m, p.Pool, own == ref, settings)
		if names[k.Name] {
			r.wrong(blocks[i].DefRange(), fmt.Errorf("candidate %s is there twice", k.Name))
		}
		names[k.Name] = true
		p.Candidates = append(p.Candidates, k)
	}
	for i := range p.Candidates {
		if k := &p.Candidates[i]; k.Price == 0 && s.Price != nil {
			k.Price = *s.Price
		}
		if p.Budget > 0 && p.Candidates[i].Price == 0 {
			r.wrong(at(block, "budget"), fmt.Errorf("budget: the price of a server at %s is not told: set price for the pool or the candidate", p.Candidates[i].Name))
		}
	}
}

// candidate is one place and plan. own says that its module is the pool's, whose
// settings it has where it does not say otherwise.
func (r *reader) candidate(block *hclsyntax.Block, shape candidateShape, m tfmodules.Module, p state.Pool, own bool, settings map[string]any) state.Candidate {
	attributes, diags := shape.Settings.JustAttributes()
	r.diags = append(r.diags, diags...)
	said, name := map[string]any{}, ""
	if !own {
		name, settings = m.Name, nil
	}
	for _, a := range inOrder(attributes) {
		value, ok := r.value(a.Expr)
		if !ok {
			continue
		}
		said[a.Name] = value
		switch value.(type) {
		case string, float64, bool:
			if state.SecretName(a.Name) {
				break
			}
			name = joined(name, fmt.Sprint(value))
		}
		if !slices.ContainsFunc(m.Variables, func(v tfmodules.Variable) bool { return v.Name == a.Name }) {
			r.wrong(a.Range, fmt.Errorf("module %s has no setting %s; it has %s", m.Name, a.Name, settingsOf(m)))
			delete(said, a.Name)
		}
	}
	told := join(settings, said)
	if told["facility"] != nil && told["metro"] != nil {
		r.wrong(block.DefRange(), errors.New("candidate: metro stands instead of facility; set one of them"))
	}
	var place map[string]any // what the environment says of places, where this one leaves it out
	if places := r.env.Candidates[m.Name]; len(places) > 0 {
		place = without(places[0], told)
	}
	all := join(r.env.Settings[m.Name], place, told)
	r.wrong(block.DefRange(), m.CheckSettings(all))
	k := candidate(m, all, name)
	if name == "" {
		k.Name = m.Name
	}
	set(&k.Price, shape.Price)
	if k.Price < 0 {
		r.wrong(at(block, "price"), errors.New("price: want what a server costs an hour"))
	}
	k.Spec = r.spec(p, m, all)
	return k
}

func settingsOf(m tfmodules.Module) string {
	names := make([]string, len(m.Variables))
	for i, v := range m.Variables {
		names[i] = v.Name
	}
	return strings.Join(names, ", ")
}

func inOrder(attributes hcl.Attributes) []*hcl.Attribute {
	list := make([]*hcl.Attribute, 0, len(attributes))
	for _, a := range attributes {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *hcl.Attribute) int { return a.Range.Start.Byte - b.Range.Start.Byte })
	return list
}

// object reads a map of settings.
func (r *reader) object(expr hcl.Expression) map[string]any {
	if expr == nil {
		return nil
	}
	value, ok := r.value(expr)
	if !ok || value == nil {
		return nil
	}
	object, ok := value.(map[string]any)
	if !ok {
		r.wrong(expr.Range(), errors.New("settings: want { name = value, ... }"))
	}
	return object
}

// value reads a value without variables and functions, as JSON would have it.
func (r *reader) value(expr hcl.Expression) (any, bool) {
	v, diags := expr.Value(nil)
	r.diags = append(r.diags, diags...)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return nil, false
	}
	text, err := ctyjson.Marshal(v, cty.DynamicPseudoType)
	var typed struct{ Value any }
	if err == nil {
		err = json.Unmarshal(text, &typed)
	}
	if err != nil {
		r.wrong(expr.Range(), err)
		return nil, false
	}
	return typed.Value, true
}
