package reconciler

import (
	"cmp"
	"regexp"
	"strings"

	"hangar/state"
)

// answers find in a provider's error the HTTP status with which its API answered,
// or the name that the API has for the error.
var answers = []*regexp.Regexp{
	// Equinix: "422 Unprocessable Entity The facility ...", with the request before
	// it or not.
	regexp.MustCompile(`^(?:Error: )?(?:[A-Z]+ https?://\S+:? )?(?:API Error )?(?:HTTP )?(4\d\d)\b`),
	// DigitalOcean: "Error creating droplet: POST https://...: 422 (request "...") ...".
	regexp.MustCompile(`^Error creating droplet: [A-Z]+ https?://\S+: (4\d\d)\b`),
	// Vultr: `error creating server: {"error":"Invalid plan chosen.","status":400}`.
	regexp.MustCompile(`^error creating (?:bare metal )?server: .*"status":(4\d\d)\b`),
	// OpenStack: "Error creating OpenStack server: Expected HTTP response code [200
	// 202] when accessing [POST ...], but got 403 instead: ...".
	regexp.MustCompile(`^Error creating OpenStack server: .* but got (4\d\d) instead`),
	// Scaleway: "scaleway-sdk-go: http error 403 Forbidden: ...", and errors with a
	// type of their own.
	regexp.MustCompile(`^scaleway-sdk-go: (?:http error (4\d\d)\b|(quotas? exceeded|quota\(s\) exceeded|resource \S+ is out of stock|insufficient permissions|invalid argument))`),
	// Hetzner Cloud: "error during placement (resource_unavailable, 1d1d17e5)"; see
	// https://docs.hetzner.cloud/reference/cloud#errors. A name that is not unique is
	// that of a server which is there.
	regexp.MustCompile(`\((resource_unavailable|placement_error|resource_limit_exceeded|placement_group_member_limit_reached|unauthorized|token_readonly|forbidden|invalid_input|not_found|unsupported_error)(?:, [0-9a-f]+)?\)$`),
}

// refused returns the words in which the API refused to create the resource at
// address, with what to do; empty: it did not. 408 and 429 refuse nothing.
func refused(diagnostics []state.Diagnostic, address string) string {
	for _, d := range diagnostics {
		if d.Severity != "error" || d.Address != address {
			continue
		}
		for _, answer := range answers {
			if m := answer.FindStringSubmatch(d.Summary); m != nil {
				if status := cmp.Or(m[1:]...); status != "408" && status != "429" {
					return d.Summary + advice(d)
				}
			}
		}
	}
	return ""
}

// trouble is why providers do not make a server, and what a person can do.
var trouble = []struct {
	words  *regexp.Regexp // of a provider's error, in lower case
	advice string
}{
	{regexp.MustCompile(`\b429\b|rate.?limit|too many requests`),
		"the provider was asked too often: it is tried again, later each time"},
	{regexp.MustCompile(`no provisionable|resource_unavailable|placement_error|out of stock|sold out|no valid host|insufficient capacity|not available in|currently unavailable`),
		"the provider has none left there: the next place or plan is tried; name more of them"},
	{regexp.MustCompile(`quota|limit exceeded|limit reached|limit_exceeded|limit_reached|exceed your .*limit|will exceed|maximum (number|amount)`),
		"the account may have no more: have its limit raised, or lower the pool's max"},
	{regexp.MustCompile(`\b401\b|unauthorized|unable to authenticate|invalid api (token|key)|token_readonly|insufficient permissions|authentication (failed|required)|not authorized|authorization required|\b403\b|forbidden`),
		"the provider does not accept the key for this: look at its credentials"},
	{regexp.MustCompile(`image|operating.system|\bos(_id)?\b|snapshot`),
		"the provider does not take the image: look at that setting"},
	{regexp.MustCompile(`server.type|flavor|commercial.type|\bplan\b|\bsize\b|\boffer\b`),
		"the provider does not take the plan: look at that setting, and whether the place has it"},
}

// advice is what to do about an error of a provider's, after a semicolon; empty:
// its words have to do.
func advice(d state.Diagnostic) string {
	text := strings.ToLower(d.Summary + " " + d.Detail)
	for _, t := range trouble {
		if t.words.MatchString(text) {
			return "; " + t.advice
		}
	}
	return ""
}

// advised is the advice on the first error that there is any for.
func advised(diagnostics []state.Diagnostic) string {
	for _, d := range diagnostics {
		if d.Severity == "error" {
			if a := advice(d); a != "" {
				return a
			}
		}
	}
	return ""
}
