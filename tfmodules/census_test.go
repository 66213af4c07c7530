package tfmodules

import (
	"strings"
	"testing"
	"testing/fstest"
)

// counted is plain with a census.
var counted = merge(plain, "census/main.tf", `
terraform {
  required_providers {
    other = {
      source  = "example.com/some/other"
      version = "1.0.0"
    }
  }
}
variable "tag" {
  type = string
}
variable "known" {
  type    = list(string)
  default = []
}
variable "size" {
  type = string
}
variable "limit" {
  type    = number
  default = 7
}
data "other_machines" "all" {
  tag = var.tag
}
output "found" {
  value = data.other_machines.all.list

  sensitive = false
}
`)

// asked is plain with a lookup.
var asked = merge(plain, "lookup/main.tf", `
terraform {
  required_providers {
    other = {
      source  = "example.com/some/other"
      version = "1.0.0"
    }
  }
}
variable "name" {
  type = string
}
variable "size" {
  type = string
}
data "other_machine" "one" {
  name = var.name
}
output "found" {
  value = [data.other_machine.one]
}
output "absent" {
  value = "^no such machine"
}
`)

func TestLookup(t *testing.T) {
	m, err := Load(asked, "mine")
	if err != nil {
		t.Fatal(err)
	}
	if c := m.Census; c == nil || !c.ByName() || c.Known || !c.Absent.MatchString("no such machine: x") || len(c.Variables) != 1 {
		t.Errorf("lookup %+v", c)
	}
	text, err := RenderCensus(CensusRoot{Module: m, Settings: map[string]any{"size": "big"}, Name: "agent-a", Tag: "hangar"})
	for _, want := range []string{`source = "../../modules/` + m.Folder() + `/lookup"`, `name   = "agent-a"`, `size   = "big"`} {
		if err != nil || !strings.Contains(string(text), want) || strings.Contains(string(text), "tag ") {
			t.Errorf("%v: want %s in\n%s", err, want, text)
		}
	}
	if _, err := RenderCensus(CensusRoot{Module: m, Settings: map[string]any{"size": "big"}, Tag: "hangar"}); err == nil {
		t.Error("rendered without a name")
	}
	// A census is the better of the two.
	if m, err := Load(merge(counted, "lookup/main.tf", "# not looked at"), "mine"); err != nil || m.Census.ByName() {
		t.Errorf("%+v, %v", m.Census, err)
	}
	for want, fsys := range map[string]fstest.MapFS{
		`lookup: variable "name" is missing`:                            with(asked, `variable "name"`, `variable "label"`),
		`lookup: output "absent" is missing`:                            with(asked, `output "absent"`, `output "away"`),
		`lookup: output "absent" is missing: a regular expression, wri`: with(asked, `"^no such machine"`, `var.size`),
		`lookup: output "absent": error parsing regexp`:                 with(asked, `"^no such machine"`, `"("`),
		`lookup: output "found" is missing`:                             with(asked, `output "found"`, `output "list"`),
	} {
		if _, err := Load(fsys, "mine"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestCensusOfShipped(t *testing.T) {
	c := packet(t).Census
	if c == nil || !c.Known || len(c.Variables) != 1 || c.Variables[0] != (Variable{"project_id", true}) {
		t.Errorf("census %+v", c)
	}
	m, err := Load(plain, "mine")
	if err != nil || m.Census != nil {
		t.Errorf("a module without: %+v, %v", m.Census, err)
	}
}

func TestLoadRefusesCensus(t *testing.T) {
	tests := []struct {
		name string
		fsys fstest.MapFS
		want string
	}{
		{"nothing in it", merge(plain, "census/main.tf", "# later"), "census: there is no configuration"},
		{"a syntax error", merge(plain, "census/main.tf", "data {"), "census: census/main.tf:1"},
		{"no tag", with(counted, `variable "tag"`, `variable "label"`), `census: variable "tag" is missing`},
		{"a setting that the module lacks", with(counted, `variable "tag"`, `variable "label"`), `census: variable "label" has no default and is no setting of the module`},
		{"known always asked for", with(counted, "  default = []\n", ""), `census: variable "known" has no default: it is not always given`},
		{"no output", with(counted, `output "found"`, `output "list"`), `census: output "found" is missing`},
		{"an output without value", with(counted, "value = data.other_machines.all.list", ""), `census: output "found" has no value`},
		{"a sensitive output", with(counted, "sensitive = false", "sensitive = true"), `census: output "found" must not be sensitive`},
		{"a short source", with(counted, "example.com/some/other", "some/other"), `census: provider other: source "some/other" is not written in full`},
		{"something to be made", merge(counted, "census/more.tf", `resource "other_machine" "a" {}`), "census: resource other_machine.a: a census only looks"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(tt.fsys, "mine")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestLoadNamesAllThatTheCensusLacks(t *testing.T) {
	fsys := merge(with(plain, `output "devices"`, `output "machines"`), "census/main.tf", `variable "known" {}`)
	_, err := Load(fsys, "mine")
	for _, want := range []string{`output "devices" is missing`, `census: variable "tag"`, `census: variable "known" has no default`, `census: output "found"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}

func TestRenderCensusTakesWhatItKnows(t *testing.T) {
	m, err := Load(counted, "mine")
	if err != nil {
		t.Fatal(err)
	}
	root := CensusRoot{Module: m, Tag: "hangar-stack=s1", Known: []string{"d-1"},
		Settings: map[string]any{"size": "big", "limit": 3, "options": map[string]any{"a": 1}},
		Provider: map[string]any{"endpoint": "x"}}
	got, err := RenderCensus(root)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(got); strings.Contains(text, "options") || strings.Contains(text, "limit") || strings.Contains(text, `provider "`) || !strings.Contains(text, "size   = \"big\"") {
		t.Errorf("want of the settings only size, and no provider that hangar has no settings for:\n%s", text)
	}
	m.Census.Known = false
	if got, err = RenderCensus(root); err != nil || strings.Contains(string(got), "d-1") {
		t.Errorf("known ids for a census that does not take them: %v\n%s", err, got)
	}
}

func TestRenderCensusRefuses(t *testing.T) {
	none, err := Load(plain, "mine")
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]any{"project_id": "p"}
	for want, root := range map[string]CensusRoot{
		"module mine has no census":                                            {Module: none, Tag: "x"},
		"module packet: a census without a tag":                                {Module: packet(t), Settings: settings},
		"module packet: setting project_id is missing, which its census takes": {Module: packet(t), Tag: "x"},
		"provider equinix: setting endpoint":                                   {Module: packet(t), Tag: "x", Settings: settings, Provider: map[string]any{"endpoint": struct{}{}}},
	} {
		if _, err := RenderCensus(root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
