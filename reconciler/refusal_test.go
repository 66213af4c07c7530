package reconciler

import (
	"strings"
	"testing"

	"hangar/state"
)

// What each provider says when it makes no server: whether its API refused it for
// good, and what a person is told to do. The texts are those of the providers'
// issues and sources; a server that is there all the same is never called refused.
func TestWordsOfProviders(t *testing.T) {
	const capacity, quota, key, image, plan, rate = "has none left there", "may have no more", "does not accept the key", "does not take the image", "does not take the plan", "asked too often"
	for _, tt := range []struct {
		text    string
		refused bool
		advice  string
	}{
		{"422 Unprocessable Entity The facility ewr1 has no provisionable c3.small.x86 servers matching your criteria.", true, capacity},
		{"POST https://api.equinix.com/metal/v1/projects/p/devices: 401 Invalid authentication token", true, key},
		{"429 Too many requests", false, rate},
		{"503 Service Unavailable", false, ""},

		{"error during placement (resource_unavailable, 1d1d17e504e28a4c)", true, capacity},
		{"error during placement (resource_unavailable)", true, capacity},
		{"server limit exceeded (resource_limit_exceeded, d1798f30e86aa508)", true, quota},
		{"placement group with ID 369587 contains already 10 servers (placement_group_member_limit_reached, 2dd189f25ea44581)", true, quota},
		{"image 'ubuntu-1.0' not found (invalid_input)", true, image},
		{"unsupported server type for this location (invalid_input, 1d1d17e504e28a4c)", true, plan},
		{"unable to authenticate (unauthorized, 1d1d17e504e28a4c)", true, key},
		{"the token is only allowed to perform GET requests (token_readonly, 1d1d17e504e28a4c)", true, key},
		{"limit of 3600 requests per hour reached (rate_limit_exceeded, 1d1d17e504e28a4c)", false, rate},
		{"server name is already used (uniqueness_error, 1d1d17e504e28a4c)", false, ""},
		{"server is locked (locked, 1d1d17e504e28a4c)", false, ""},

		{`Error creating droplet: POST https://api.digitalocean.com/v2/droplets: 422 (request "de2b") creating this/these droplet(s) will exceed your droplet limit`, true, quota},
		{`Error creating droplet: POST https://api.digitalocean.com/v2/droplets: 401 (request "de2b") Unable to authenticate you`, true, key},
		{`Error creating droplet: POST https://api.digitalocean.com/v2/droplets: 422 (request "de2b") You specified an invalid image for Droplet creation.`, true, image},
		{`Error creating droplet: POST https://api.digitalocean.com/v2/droplets: 422 (request "de2b") Size is not available in this region.`, true, capacity},
		{`Error creating droplet: POST https://api.digitalocean.com/v2/droplets: 429 (request "de2b") Too many requests`, false, rate},
		{`Error waiting for droplet (4711) to become ready: timeout while waiting for state to become 'active'`, false, ""},

		{`error creating server: {"error":"Invalid plan chosen.","status":400}`, true, plan},
		{`error creating server: {"error":"Invalid API token.","status":401}`, true, key},
		{`error creating bare metal server: {"error":"Plan is not available in the selected region.","status":400}`, true, capacity},
		{`error creating bare metal server: gave up after 4 attempts, last error unavailable (resp == nil)`, false, ""},
		{`error while waiting for bare metal server (x) to be in active state: timeout`, false, ""},

		{"scaleway-sdk-go: quota(s) exceeded: InstanceServers has reached its quota (5/5)", true, quota},
		{"scaleway-sdk-go: resource instance_server is out of stock", true, capacity},
		{"scaleway-sdk-go: http error 401 Unauthorized: denied authentication", true, key},
		{"scaleway-sdk-go: http error 429 Too Many Requests", false, rate},
		{"scaleway-sdk-go: invalid argument(s): image does not exist", true, image},
		{"scaleway-sdk-go: http error 500 Internal Server Error", false, ""},

		{`Error creating OpenStack server: Expected HTTP response code [200 202] when accessing [POST https://cloud/v2.1/servers], but got 403 instead: {"forbidden": {"code": 403, "message": "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"}}`, true, quota},
		{`Error creating OpenStack server: Expected HTTP response code [200 202] when accessing [POST https://cloud/v2.1/servers], but got 400 instead: {"badRequest": {"code": 400, "message": "Invalid flavorRef provided."}}`, true, plan},
		{`Error waiting for instance (x) to become ready: unexpected state 'ERROR', wanted target 'ACTIVE'. last error: No valid host was found.`, false, capacity},
	} {
		address := Address("x.server", "agent-a")
		said := []state.Diagnostic{{Severity: "warning", Summary: "401 ignore me", Address: address}, {Severity: "error", Summary: tt.text, Address: address}}
		words := refused(said, address)
		if (words != "") != tt.refused {
			t.Errorf("%s: refused: %q, want %t", tt.text, words, tt.refused)
		}
		if tt.refused && !strings.HasPrefix(words, tt.text) {
			t.Errorf("%s: is told as %q", tt.text, words)
		}
		if got := advised(said); tt.advice == "" && got != "" || !strings.Contains(got, tt.advice) {
			t.Errorf("%s: the advice is %q, want %q", tt.text, got, tt.advice)
		}
		if other := refused(said, Address("x.server", "agent-b")); other != "" {
			t.Errorf("%s: another server is called refused", tt.text)
		}
	}
}
