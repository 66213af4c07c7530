package state

import (
	"fmt"
	"strings"
)

// CheckHostname says why a provider would refuse a server's name, which is
// its host name: it must be one label of a domain name (RFC 1123, section
// 2.1). Upper case is refused too: DNS does not tell it from lower case, but
// Drone does in the names of runners.
func CheckHostname(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("host name is empty")
	case len(name) > 63:
		return fmt.Errorf("host name %q has %d characters: at most 63 are allowed", name, len(name))
	case strings.HasPrefix(name, "-"), strings.HasSuffix(name, "-"):
		return fmt.Errorf("host name %q begins or ends with a hyphen", name)
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return fmt.Errorf("host name %q has a %q in it: only lower case letters, digits and hyphens are allowed", name, r)
		}
	}
	return nil
}
