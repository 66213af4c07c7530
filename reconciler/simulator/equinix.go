package simulator

import (
	_ "embed"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"hangar/reconciler/simulator/plugin"
)

// equinixSchemas is the schema of equinix/equinix 4.16.1, cut down to what
// the stand-in does, as `terraform providers schema -json` printed it; the data
// sources of projects, places and plans are as the provider's source has them.
//
//go:embed equinix_schema.json
var equinixSchemas []byte

// Texts of the real provider.
const (
	metalEnds = "Equinix Metal will reach end of life on June 30, 2026. All Metal resources will be removed in version 5.0.0 " +
		"of this provider. Use version 4.x of this provider for continued use through sunset. See https://docs.equinix.com/metal/ " +
		"for more information."
	useMetro = "Use metro instead of facilities.  For more information, read the migration guide: " +
		"https://registry.terraform.io/providers/equinix/equinix/latest/docs/guides/migration_guide_facilities_to_metros_devices"
)

// equinix behaves as equinix/equinix 4.16.1 does with its Metal resources,
// faults included.
type equinix struct {
	waits  Waits
	getenv func(string) string
	client *metalClient // nil before configure
}

func newEquinix(waits Waits, getenv func(string) string) *equinix {
	return &equinix{waits: waits, getenv: getenv}
}

func (e *equinix) Resources() map[string]plugin.Managed {
	return map[string]plugin.Managed{"equinix_metal_device": &metalDevice{e}}
}

func (e *equinix) Sources() map[string]plugin.Source {
	return map[string]plugin.Source{
		"equinix_metal_devices": &metalDevices{e}, "equinix_metal_project": &metalProject{e}, "equinix_metal_plans": &metalPlans{e},
		"equinix_metal_facility": &metalPlace{e, "Facility", "Facilities", "/facilities"}, "equinix_metal_metro": &metalPlace{e, "Metro", "Metros", "/locations/metros"},
	}
}

// setting reads an attribute of the provider, or its environment variable.
func (e *equinix) setting(config plugin.Object, attribute, variable, otherwise string) string {
	if s, ok := config[attribute].(string); ok {
		return s
	}
	if s := e.getenv(variable); s != "" {
		return s
	}
	return otherwise
}

func (e *equinix) authToken(config plugin.Object) string {
	return e.setting(config, "auth_token", "METAL_AUTH_TOKEN", "")
}

func (e *equinix) Validate(config plugin.Object) []*tfprotov6.Diagnostic {
	if e.authToken(config) == "" {
		return nil
	}
	return []*tfprotov6.Diagnostic{plugin.Warning("Argument is deprecated", metalEnds, "auth_token")}
}

func (e *equinix) Configure(config plugin.Object) error {
	base := e.setting(config, "endpoint", "EQUINIX_API_ENDPOINT", "https://api.equinix.com")
	u, err := url.Parse(base)
	if err != nil {
		return fmt.Errorf("invalid base URL: %w", err)
	}
	waits := e.waits
	if seconds, ok := config["max_retry_wait_seconds"].(float64); ok {
		waits.MaxRetry = time.Duration(seconds * float64(time.Second))
	}
	retries := 10
	if n, ok := config["max_retries"].(float64); ok {
		retries = int(n)
	}
	e.client = &metalClient{
		base: u.JoinPath("/metal/v1").String(), token: e.authToken(config),
		retries: retries, waits: waits, http: &http.Client{},
	}
	return nil
}

// text reads a string; null and unknown are empty.
func text(v any) string {
	s, _ := v.(string)
	return s
}

// texts reads a list of strings.
func texts(v any) []string {
	var list []string
	for _, element := range listOf(v) {
		list = append(list, text(element))
	}
	return list
}

func listOf(v any) []any {
	list, _ := v.([]any)
	return list
}

// anys makes a list of strings a Terraform value.
func anys(list []string) []any {
	values := []any{}
	for _, s := range list {
		values = append(values, s)
	}
	return values
}

// lower compares places, which the API spells in small letters.
func lower(v any) string { return strings.ToLower(text(v)) }
