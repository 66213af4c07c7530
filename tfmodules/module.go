// Package tfmodules knows Terraform modules that make servers: it holds one
// for each provider, checks them against the contract, keeps copies of them
// named after their content, renders the root modules that call them, and
// reads the devices that a Terraform state tells of.
//
// The contract: a module takes devices, a map from a server's name to its
// user data and tags, for the for_each of exactly one resource, which ignores
// all changes; and outputs devices, a map from a server's name to what is
// known of it. Every other variable is a setting of the module. Where the
// provider can list machines, the folder census has a module that does.
package tfmodules

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Module is a provider module that keeps the contract.
type Module struct {
	Name      string     // for example packet
	Resource  string     // the one that is a server, for example equinix_metal_device.server
	Provider  string     // local name of that resource's provider; empty when it is built into terraform
	Providers []Provider // what it requires, in order of local names
	Variables []Variable // its settings, in order of names; devices is not one
	Census    *Census    // nil: it has none

	companions []string // resources that belong to servers, such as latitudesh_user_data.agent

	hash    string            // of files, hex
	files   map[string][]byte // by path
	devices hclsyntax.Expression
}

// Provider is one requirement of a module.
type Provider struct {
	Name    string // local name, for example equinix
	Source  string // with its host: registry.terraform.io/equinix/equinix
	Version string // constraint: ~> 4.16
}

// Variable is one setting of a module.
type Variable struct {
	Name     string
	Required bool // it has no default
}

var moduleName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// Load reads the module in the root of fsys and checks it against the
// contract. Files and folders whose names begin with a dot are no part of it.
func Load(fsys fs.FS, name string) (Module, error) {
	if !moduleName.MatchString(name) {
		return Module{}, fmt.Errorf("module %q: a module's name consists of lower case letters, digits and hyphens", name)
	}
	files, err := readFiles(fsys)
	if err != nil {
		return Module{}, fmt.Errorf("module %s: %w", name, err)
	}
	m := Module{Name: name, hash: hashFiles(files), files: files}
	if err := m.parse(); err != nil {
		return Module{}, fmt.Errorf("module %s: %w", name, err)
	}
	return m, nil
}

// Folder is the name of the folder of the module's copy: the module's name
// and the beginning of a SHA-256 over its files.
func (m Module) Folder() string { return m.Name + "-" + m.hash[:hashLength] }

// hashLength is how much of the hash is in a folder's name.
const hashLength = 8

func readFiles(fsys fs.FS) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p != "." && strings.HasPrefix(path.Base(p), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		// A file may be a link to one: that is how Kubernetes mounts them.
		if info, err := fs.Stat(fsys, p); err != nil {
			return err
		} else if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", p)
		}
		files[p], err = fs.ReadFile(fsys, p)
		return err
	})
	return files, err
}

// hashFiles tells paths from contents by their lengths, so that no two sets
// of files have the same input.
func hashFiles(files map[string][]byte) string {
	h := sha256.New()
	for _, p := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%d %s %d ", len(p), p, len(files[p]))
		h.Write(files[p])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (m Module) equal(o Module) bool {
	return m.Name == o.Name && maps.EqualFunc(m.files, o.files, bytes.Equal)
}
