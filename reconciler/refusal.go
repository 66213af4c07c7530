package reconciler

import (
	"regexp"

	"hangar/state"
)

// answered finds the HTTP status at the beginning of a provider's error: "422
// Unprocessable Entity The facility ...", with the request before it or not.
var answered = regexp.MustCompile(`^(?:Error: )?(?:[A-Z]+ https?://\S+:? )?(?:API Error )?(?:HTTP )?(4\d\d)\b`)

// refused returns the words in which the API refused to create the resource at
// address; empty: it did not. 408 and 429 refuse nothing.
func refused(diagnostics []state.Diagnostic, address string) string {
	for _, d := range diagnostics {
		if d.Severity != "error" || d.Address != address {
			continue
		}
		if m := answered.FindStringSubmatch(d.Summary); m != nil && m[1] != "408" && m[1] != "429" {
			return d.Summary
		}
	}
	return ""
}
