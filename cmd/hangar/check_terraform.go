package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"hangar/reconciler/terraform"
	"hangar/state"
	"hangar/tfmodules"
)

// terraform looks for it, has it fetch the providers of each module, and asks
// the API of the module packet.
func (d *doctor) terraform() {
	aside := d.cfg
	aside.Data = d.scratch
	ctx, cancel := patiently(d.ctx)
	defer cancel()
	r, err := newRunner(ctx, aside, d.environ, d.cfg.installed(d.scratch), "hangar-check", d.agents, func() map[string][]string { return d.pools.Set().Env })
	if err != nil {
		d.fail("terraform", err.Error(), "install terraform 1.7 or newer, or OpenTofu 1.8, where hangar runs, or set DRONE_TERRAFORM_BINARY to its path")
		d.skip("provider", "there is no terraform to fetch it")
		return
	}
	d.ok("terraform", "%s %s at %s", r.Binary.Product, r.Binary.Version, r.Binary.Path)
	if within(r.Binary.Path, d.scratch) {
		d.warn("terraform", "none was found, and it was downloaded for this look", "hangar serve will do the same once, at its start; install it to be independent of that")
	}
	for _, m := range d.pools.Set().Modules {
		if m.Name == "packet" {
			d.ended()
		}
		if d.provider(r, m) && m.Name == "packet" {
			d.api(r, m)
		}
	}
}

func within(path, folder string) bool {
	relative, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(relative)
}

// provider plans an empty stack of a module, which needs its providers.
func (d *doctor) provider(r *terraform.Runner, m tfmodules.Module) bool {
	ctx, cancel := patiently(d.ctx)
	defer cancel()
	var sources []string
	for _, p := range m.Providers {
		sources = append(sources, strings.TrimSpace(p.Source+" "+p.Version))
	}
	from := "from its registry"
	if d.cfg.TerraformMirror != "" {
		from = "from the mirror " + d.cfg.TerraformMirror
	}
	name, what := "provider", strings.Join(sources, ", ")
	if m.Name != "packet" {
		name += " " + m.Name
	}
	err := r.Install(m)
	if err == nil {
		_, err = r.Plan(ctx, state.Workspace{Stack: d.emptyStack(m)})
	}
	failed, ok := errors.AsType[*terraform.Error](err)
	switch {
	case err == nil:
		d.ok(name, "%s, %s: terraform init works", what, from)
	case ok && strings.HasPrefix(failed.Op, "init") && d.cfg.TerraformMirror != "":
		d.fail(name, fmt.Sprintf("%s is not to be had %s: %v", what, from, err), "fill the mirror with terraform providers mirror, or leave DRONE_TERRAFORM_MIRROR empty to download it")
	case ok && strings.HasPrefix(failed.Op, "init"):
		d.fail(name, fmt.Sprintf("%s is not to be had %s: %v", what, from, err), "let hangar reach the registry, or set DRONE_TERRAFORM_MIRROR to a folder that terraform providers mirror has made")
	default:
		d.fail(name, err.Error(), "terraform cannot plan with module "+m.Name+": correct its settings, or the module")
	}
	return err == nil
}

// emptyStack is a stack of the module without servers.
func (d *doctor) emptyStack(m tfmodules.Module) state.Stack {
	s := state.Stack{Name: "check-" + m.Name, Provider: m.Name, Module: m.Folder(), Resource: m.Resource}
	for _, c := range d.candidates(m) {
		s.Settings = c.Settings
		break
	}
	return s
}

// candidates are those of all pools that the module makes.
func (d *doctor) candidates(m tfmodules.Module) (all []state.Candidate) {
	for _, p := range d.pools.At(time.Now()).Pools {
		for _, c := range p.Candidates {
			if c.Module == m.Folder() {
				all = append(all, c)
			}
		}
	}
	return all
}

// ended tells where machines are to come from a service that has ended.
func (d *doctor) ended() {
	if d.cfg.PacketEndpoint == "" {
		d.warn("equinix metal", "Equinix closed Metal on 30 June 2026, and the module packet speaks to its endpoint",
			"set DRONE_PACKET_ENDPOINT to something that speaks its API, or DRONE_TERRAFORM_MODULE to a module of your own")
	}
}

// api asks the API whether it knows the key, the projects, the places and the
// plans.
func (d *doctor) api(r *terraform.Runner, m tfmodules.Module) {
	projects := map[string]map[string]map[string]bool{} // what is asked for, by project and kind
	for _, c := range d.candidates(m) {
		project, _ := c.Settings["project_id"].(string)
		if projects[project] == nil {
			projects[project] = map[string]map[string]bool{"facility": {}, "metro": {}, "plan": {}}
		}
		for kind, names := range projects[project] {
			if name, _ := c.Settings[kind].(string); name != "" && name != "any" {
				names[name] = true
			}
		}
	}
	for _, project := range slices.Sorted(maps.Keys(projects)) {
		d.ask(r, m, project, projects[project])
	}
}

// refused is how the API, and what the provider makes of it, says that it does
// not know a key.
var refused = regexp.MustCompile(`\b401\b|Invalid authentication token`)

// unknown is how it says that it does not know, or does not show, something.
var unknown = regexp.MustCompile(`\b40[34]\b|not found`)

// ask asks about one project.
func (d *doctor) ask(r *terraform.Runner, m tfmodules.Module, project string, names map[string]map[string]bool) {
	ctx, cancel := patiently(d.ctx)
	defer cancel()
	sorted := func(kind string) []string {
		return append([]string{}, slices.Sorted(maps.Keys(names[kind]))...)
	}
	err := r.Inquire(ctx, m.Folder(), map[string]any{
		"project_id": project, "facilities": sorted("facility"), "metros": sorted("metro"), "plans": sorted("plan"),
	})
	wrong := newAnswers(err)
	trouble := wrong.of(`data.equinix_metal_project.project`, "")
	switch {
	case refused.MatchString(trouble):
		d.fail("api key", "the API does not accept it", "set DRONE_PACKET_APIKEY to a key of the project, or of a user who is in it")
		d.skip("project", "the API accepts no key")
		return
	case err != nil && wrong.elsewhere(), trouble != "" && !unknown.MatchString(trouble):
		d.fail("api key", "the API does not answer as it should: "+firstLine(err.Error()), "look whether DRONE_PACKET_ENDPOINT leads to the API, and whether that works")
		d.skip("project", "the API does not answer")
		return
	case trouble != "":
		d.ok("api key", "the API accepts it")
		d.fail("project", fmt.Sprintf("%s is not there, or not visible with this key", project), "set DRONE_PACKET_PROJECT_ID to the id of a project that the key has a right to")
	default:
		d.ok("api key", "the API accepts it")
		d.ok("project", "%s is visible", project)
	}
	for _, kind := range []string{"facility", "metro", "plan"} {
		for _, name := range sorted(kind) {
			d.known(wrong, kind, name)
		}
	}
}

// known tells whether the API knows a place or a plan.
func (d *doctor) known(wrong answers, kind, name string) {
	resource := map[string]string{"facility": "facility.facility", "metro": "metro.metro", "plan": "plans.plan"}[kind]
	trouble := wrong.of(fmt.Sprintf("data.equinix_metal_%s[%q]", resource, name), fmt.Sprintf("There is no plan %s.", name))
	label := kind + " " + name
	switch {
	case trouble == "":
		d.ok(label, "the API knows it")
	case kind == "plan" && strings.Contains(trouble, "There is no plan"), unknown.MatchString(trouble):
		d.fail(label, "the API does not know it", "set DRONE_PACKET_"+strings.ToUpper(kind)+", or the pools file, to one that it has")
	default:
		d.skip(label, "it could not be asked: "+firstLine(trouble))
	}
}

// answers are the errors that an inquiry ended with.
type answers []state.Diagnostic

func newAnswers(err error) (a answers) {
	if failed, ok := errors.AsType[*terraform.Error](err); ok && !strings.HasPrefix(failed.Op, "init") {
		for _, d := range failed.Diagnostics {
			if d.Severity == "error" {
				a = append(a, d)
			}
		}
	}
	return a
}

// elsewhere says whether something else went wrong than that the API does not
// know what was asked for: then nothing is known of that either.
func (a answers) elsewhere() bool {
	return len(a) == 0 || slices.ContainsFunc(a, func(d state.Diagnostic) bool {
		return !strings.HasPrefix(d.Address, "data.equinix_metal_") && !strings.HasPrefix(d.Detail, "There is no plan ")
	})
}

// of is what was told of one data source: by its address or, where terraform
// leaves that out, in words that name what was asked for.
func (a answers) of(address, words string) string {
	for _, d := range a {
		text := d.Summary + " " + d.Detail
		if d.Address == address || words != "" && strings.Contains(text, words) {
			return text
		}
	}
	return ""
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
