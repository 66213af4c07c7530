package tfmodules

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"hangar/state"
)

//go:embed inquiries
var inquiries embed.FS

// patience is by which settings the provider of a module gives up soon, when it
// is only asked something.
var patience = map[string]map[string]any{"packet": {"max_retries": 1, "max_retry_wait_seconds": 1}}

// RenderInquiry returns the files of a root module, by name, that asks the API
// of a module that comes with hangar, by data sources alone, whether it knows
// what values name. provider is the settings of the provider block; nothing
// secret. The error is NotFound for a module of which nothing can be asked.
func RenderInquiry(m Module, provider, values map[string]any) (map[string][]byte, error) {
	questions, err := inquiries.ReadFile("inquiries/" + m.Name + ".tf")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, state.Errorf(state.NotFound, "nothing can be asked about the settings of module %s", m.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", m.Name, err)
	}
	file, body := newRoot()
	appendProviders(body, m.Providers)
	settings := maps.Clone(patience[m.Name])
	maps.Copy(settings, provider)
	if err := appendProvider(body, m.Provider, settings); err != nil {
		return nil, err
	}
	given, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", m.Name, err)
	}
	return map[string][]byte{"main.tf": hclwrite.Format(file.Bytes()), "inquiry.tf": questions, "terraform.tfvars.json": given}, nil
}
