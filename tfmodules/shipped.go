package tfmodules

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed packet hetznercloud digitalocean vultr vultr-instance scaleway scaleway-baremetal openstack latitude
var shipped embed.FS

// Names lists the modules that come with hangar, in order.
func Names() []string {
	entries, err := fs.ReadDir(shipped, ".")
	if err != nil {
		panic(err) // the root of an embedded file system can be read
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Shipped loads a module that comes with hangar.
func Shipped(name string) (Module, error) {
	sub, err := fs.Sub(shipped, name)
	if err != nil {
		return Module{}, fmt.Errorf("module %q: %w", name, err)
	}
	if _, err := fs.Stat(sub, "."); err != nil {
		return Module{}, fmt.Errorf("module %q does not come with hangar; it has %s", name, strings.Join(Names(), ", "))
	}
	return Load(sub, name)
}
