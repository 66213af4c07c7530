package reconciler

import (
	"fmt"
	"slices"
	"strings"

	"hangar/state"
)

// Wanted is what a plan may change: nothing less, and nothing more.
type Wanted struct {
	Resource string            // the module's server resource, for example equinix_metal_device.server
	Creates  []string          // servers
	Deletes  []string          // servers
	Imports  map[string]string // server -> device id
}

// Address is the address of a server's resource in a rendered root module.
func Address(resource, server string) string {
	return fmt.Sprintf("module.devices.%s[%q]", resource, server)
}

// Guard says whether a plan's creates, deletes and imports are exactly the
// wanted set at this stack's addresses. A companion, which the module says
// belongs to a server, such as its user data, comes with its server, and goes when
// that does. It answers with its verdict in words, and
// whether the plan may be applied. Any drift, replacement, update in place
// or change of another resource refuses the plan: such a plan was made from a
// state that is not the truth, and applying it can create a machine twice or
// forget a living one.
func Guard(w Wanted, p state.Plan) (verdict string, ok bool) {
	creates, deletes := w.addresses(w.Creates), w.addresses(w.Deletes)
	imports := make(map[string]string, len(w.Imports))
	for server, id := range w.Imports {
		imports[Address(w.Resource, server)] = id
	}

	var refused []string
	refuse := func(format string, args ...any) {
		refused = append(refused, fmt.Sprintf(format, args...))
	}
	for _, c := range p.Drift {
		if !slices.Equal(c.Actions, []string{"no-op"}) {
			refuse("%s has drifted (%s)", c.Address, strings.Join(c.Actions, ", "))
		}
	}
	comes := make(map[string]bool) // servers
	stays := make(map[string]bool) // addresses
	for _, server := range w.Creates {
		comes[server] = true
	}
	for server := range w.Imports {
		comes[server] = true
	}
	for _, c := range p.Changes {
		if strings.Join(c.Actions, ",") != "delete" {
			stays[c.Address] = true
		}
	}
	for _, c := range p.Changes {
		switch kind := strings.Join(c.Actions, ","); {
		case c.ImportID != "":
			if id, wanted := imports[c.Address]; !wanted || id != c.ImportID {
				refuse("%s would be imported from %s, which is not wanted", c.Address, c.ImportID)
			} else if kind != "no-op" {
				refuse("%s would be changed by its import (%s)", c.Address, kind)
			}
			delete(imports, c.Address)
		case kind == "no-op", kind == "read":
		case c.Companion != "" && (kind == "create" && comes[c.Companion] || kind == "delete" && !stays[Address(w.Resource, c.Companion)]):
		case kind == "create":
			if !creates[c.Address] {
				refuse("%s would be created, which is not wanted", c.Address)
			}
			delete(creates, c.Address)
		case kind == "delete":
			if !deletes[c.Address] {
				refuse("%s would be destroyed, which is not wanted", c.Address)
			}
			delete(deletes, c.Address)
		default:
			refuse("%s would be changed (%s); servers are never changed in place or replaced", c.Address, kind)
		}
	}
	for address := range creates {
		refuse("%s is to be created, but the plan does not", address)
	}
	for address := range deletes {
		refuse("%s is to be destroyed, but the plan does not", address)
	}
	for address := range imports {
		refuse("%s is to be imported, but the plan does not", address)
	}
	if len(refused) > 0 {
		slices.Sort(refused)
		return "refused: " + strings.Join(refused, "; "), false
	}
	return fmt.Sprintf("passed: %d to create, %d to destroy, %d to import, exactly as wanted",
		len(w.Creates), len(w.Deletes), len(w.Imports)), true
}

func (w Wanted) addresses(servers []string) map[string]bool {
	set := make(map[string]bool, len(servers))
	for _, s := range servers {
		set[Address(w.Resource, s)] = true
	}
	return set
}
