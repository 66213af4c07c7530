package terraform

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-exec/tfexec"
)

// passed are the variables that every terraform gets: what any program needs
// to find its files, and the network.
var passed = []string{
	"PATH", "HOME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"http_proxy", "https_proxy", "no_proxy", "all_proxy",
}

// Environment takes the variables that terraform may see from those that
// lookup knows: a few that every program needs, and the named ones
// (DRONE_TERRAFORM_ENV). Nothing else of hangar's environment reaches it.
func Environment(lookup func(name string) (value string, ok bool), names []string) (map[string]string, error) {
	if err := MayPass(names...); err != nil {
		return nil, err
	}
	env := map[string]string{}
	for _, name := range slices.Concat(names, passed) {
		if value, ok := lookup(name); ok {
			env[name] = value
		}
	}
	return env, nil
}

// MayPass says which of these variables terraform must not be given.
func MayPass(names ...string) error {
	named := make(map[string]string, len(names))
	for _, name := range names {
		named[name] = ""
	}
	if bad := tfexec.ProhibitedEnv(named); len(bad) > 0 {
		return fmt.Errorf("hangar sets %s itself, or must not have it set", strings.Join(slices.Sorted(slices.Values(bad)), ", "))
	}
	return nil
}
