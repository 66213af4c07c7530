package tfmodules

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// plain is a module of a user that needs no provider but terraform's own.
var plain = fstest.MapFS{
	"variables.tf": {Data: []byte(`
variable "devices" {
  type = map(object({ user_data = string, tags = list(string) }))
}
variable "size" {
  type = string
}
variable "options" {
  type    = any
  default = {}
}
`)},
	"main.tf": {Data: []byte(`
resource "terraform_data" "server" {
  for_each = var.devices
  input    = { size = var.size, tags = each.value.tags }
  lifecycle {
    ignore_changes = all
  }
}
`)},
	"outputs.tf": {Data: []byte(`
output "devices" {
  value = { for name, s in terraform_data.server : name => {
    id = s.id, address = "", private_address = "", state = "active", region = "", size = s.output.size, image = ""
  } }
}
`)},
}

// with returns a copy of fsys in which old is new in every file.
func with(fsys fstest.MapFS, old, new string) fstest.MapFS {
	changed := fstest.MapFS{}
	for p, f := range fsys {
		changed[p] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(f.Data), old, new)), Mode: f.Mode}
	}
	return changed
}

func TestShipped(t *testing.T) {
	for _, name := range Names() {
		if _, err := Shipped(name); err != nil {
			t.Error(err)
		}
	}
	m, err := Shipped("packet")
	if err != nil {
		t.Fatal(err)
	}
	if m.Resource != "equinix_metal_device.server" || m.Provider != "equinix" {
		t.Errorf("resource %s of provider %s", m.Resource, m.Provider)
	}
	if want := []Provider{{"equinix", "registry.terraform.io/equinix/equinix", "~> 4.16"}}; !slices.Equal(m.Providers, want) {
		t.Errorf("providers %v, want %v", m.Providers, want)
	}
	required := map[string]bool{}
	for _, v := range m.Variables {
		required[v.Name] = v.Required
	}
	want := map[string]bool{
		"billing_cycle": false, "create_timeout": false, "facility": false, "hardware_reservation_id": false,
		"image": true, "metro": false, "plan": true, "project_id": true, "project_ssh_key_ids": false,
	}
	if !maps.Equal(required, want) {
		t.Errorf("settings %v, want %v", required, want)
	}
	if _, err := Shipped("nimbus"); err == nil || !strings.Contains(err.Error(), "packet") {
		t.Errorf("unknown module: %v; want an error that lists the known ones", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct {
		name   string
		fsys   fstest.MapFS
		module string
		want   string
	}{
		{"a name that is no folder", plain, "../x", `module "../x"`},
		{"an empty folder", fstest.MapFS{}, "mine", "no .tf file"},
		{"a syntax error", fstest.MapFS{"main.tf": {Data: []byte("resource {")}}, "mine", "main.tf:1"},
		{"no variable devices", with(plain, `"devices" {`+"\n  type", `"machines" {`+"\n  type"), "mine", `variable "devices" is missing`},
		{"no output devices", with(plain, `output "devices"`, `output "machines"`), "mine", `output "devices" is missing`},
		{"no resource with the devices", with(plain, "= var.devices", "= toset([])"), "mine", "0 resources have for_each = var.devices"},
		{"two resources with the devices", merge(plain, "more.tf", `resource "terraform_data" "b" { for_each = var.devices }`), "mine", "2 resources have"},
		{"changes not ignored", with(plain, "ignore_changes = all", "ignore_changes = [input]"), "mine", "ignore_changes = all"},
		{"a short source", merge(plain, "versions.tf", `terraform {
  required_providers { equinix = { source = "equinix/equinix", version = "~> 4.16" } }
}`), "mine", `source "equinix/equinix" is not written in full`},
		{"no version", merge(plain, "versions.tf", `terraform {
  required_providers { equinix = { source = "registry.terraform.io/equinix/equinix" } }
}`), "mine", "provider equinix: it has no version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(tt.fsys, tt.module)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func merge(fsys fstest.MapFS, path, content string) fstest.MapFS {
	merged := maps.Clone(fsys)
	merged[path] = &fstest.MapFile{Data: []byte(content)}
	return merged
}

func TestLoadNamesAllThatIsMissing(t *testing.T) {
	_, err := Load(fstest.MapFS{"main.tf": {Data: []byte(`variable "x" {}`)}}, "mine")
	for _, want := range []string{`variable "devices"`, `output "devices"`, "for_each = var.devices"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}

func TestFolderFollowsContent(t *testing.T) {
	folder := func(fsys fstest.MapFS) string {
		m, err := Load(fsys, "mine")
		if err != nil {
			t.Fatal(err)
		}
		return m.Folder()
	}
	base := folder(plain)
	if !strings.HasPrefix(base, "mine-") || len(base) != len("mine-")+8 {
		t.Errorf("folder %q", base)
	}
	if folder(merge(plain, "extra.txt", "x")) == base || folder(with(plain, "active", "ACTIVE")) == base {
		t.Error("another content has the same folder")
	}
	if folder(merge(plain, ".terraform.lock.hcl", "x")) != base {
		t.Error("a hidden file has changed the folder")
	}
}

func TestProviderOfResource(t *testing.T) {
	fsys := merge(with(plain, `ignore_changes = all`+"\n  }", `ignore_changes = all`+"\n  }\n  provider = other"), "versions.tf", `terraform {
  required_providers {
    other = {
      source  = "example.com/some/other"
      version = "1.0.0"
    }
  }
}`)
	m, err := Load(fsys, "mine")
	if err != nil {
		t.Fatal(err)
	}
	if m.Provider != "other" {
		t.Errorf("provider %q, want other", m.Provider)
	}
}

// Kubernetes mounts each file as a link into a folder whose name begins with
// two dots.
func TestLoadFollowsLinksToFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "..data"), 0o700); err != nil {
		t.Fatal(err)
	}
	for p, f := range plain {
		if err := os.WriteFile(filepath.Join(dir, "..data", p), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..data", p), filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Load(os.DirFS(dir), "mine")
	if err != nil {
		t.Fatal(err)
	}
	if want, err := Load(plain, "mine"); err != nil || m.Folder() != want.Folder() {
		t.Errorf("%s, want %s: %v", m.Folder(), want.Folder(), err)
	}
	if err := os.Symlink("..data", filepath.Join(dir, "folder.tf")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(os.DirFS(dir), "mine"); err == nil || !strings.Contains(err.Error(), "folder.tf is not a regular file") {
		t.Errorf("%v", err)
	}
}
