package reconciler

import (
	"regexp"
	"strconv"

	"hangar/state"
)

// answered finds the HTTP status at the beginning of a provider's error: "422
// Unprocessable Entity The facility ...", with the request before it or not.
var answered = regexp.MustCompile(`^(?:Error: )?(?:[A-Z]+ https?://\S+:? )?(?:API Error )?(?:HTTP )?(4\d\d)\b`)

// refused says whether the API refused to create the resource at address, and
// in which words; empty: it did not. A refusal is final when only the request
// to create can have been answered so: then nothing was created, and nothing
// will be. 401, 403 and 404 can also be the answer to a question about a device
// that exists; 408 and 429 refuse nothing.
func refused(diagnostics []state.Diagnostic, address string) (words string, final bool) {
	for _, d := range diagnostics {
		if d.Severity != "error" || d.Address != address {
			continue
		}
		m := answered.FindStringSubmatch(d.Summary)
		if m == nil {
			continue
		}
		switch status, _ := strconv.Atoi(m[1]); status {
		case 408, 429:
		case 401, 403, 404:
			return d.Summary, false
		default:
			return d.Summary, true
		}
	}
	return "", false
}
