package terraform

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"hangar/state"
)

// Error is a terraform command that failed. Secrets are masked in all of it.
type Error struct {
	Op          string             // for example plan stack s1
	Diagnostics []state.Diagnostic // terraform's own, in full
	Log         string             // all that terraform wrote
	Err         error              // how the command ended
}

// Error tells the operation and the errors that terraform named, each once.
func (e *Error) Error() string {
	var errs []string
	for _, d := range e.Diagnostics {
		if line := headline(d); d.Severity == "error" && !slices.Contains(errs, line) {
			errs = append(errs, line)
		}
	}
	const shown = 3
	switch {
	case len(errs) == 0:
		return e.Op + ": " + e.Err.Error()
	case len(errs) > shown:
		return fmt.Sprintf("%s: %s; and %d more", e.Op, strings.Join(errs[:shown], "; "), len(errs)-shown)
	}
	return e.Op + ": " + strings.Join(errs, "; ")
}

// Unwrap returns how the command ended.
func (e *Error) Unwrap() error { return e.Err }

// TerraformDiagnostics returns the diagnostics, for those who do not know
// this package.
func (e *Error) TerraformDiagnostics() []state.Diagnostic { return e.Diagnostics }

// all says whether each of the errors that terraform named is of the kind that the
// expression describes, and there is one.
func (e *Error) all(kind *regexp.Regexp) bool {
	some := false
	for _, d := range e.Diagnostics {
		if d.Severity != "error" {
			continue
		}
		if !kind.MatchString(headline(d)) {
			return false
		}
		some = true
	}
	return some
}

// headline is a diagnostic in a line; terraform wraps its details.
func headline(d state.Diagnostic) string {
	text := strings.Join(strings.Fields(d.Summary+": "+d.Detail), " ")
	const length = 300
	if runes := []rune(text); len(runes) > length {
		text = string(runes[:length]) + "…"
	}
	return strings.TrimSuffix(text, ":")
}

// failure makes the error of a command whose error output is stderr.
func (r *Runner) failure(op string, err error, stderr string) *Error {
	text := r.mask().shown(stderr)
	return &Error{Op: op, Diagnostics: parseDiagnostics(text), Log: text, Err: r.ending(err)}
}

// ending is how a command ended. terraform-exec puts all of the error output
// into its errors; that is kept elsewhere, and masked.
func (r *Runner) ending(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit
	}
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, end) {
			return end
		}
	}
	return errors.New(r.mask().shown(err.Error()))
}

// parseDiagnostics reads the diagnostics that terraform writes for people,
// without colour: "Error: summary", then lines about the place, then the
// detail. What is there before the first is an error of its own.
func parseDiagnostics(text string) []state.Diagnostic {
	var found []state.Diagnostic
	var lines []string
	flush := func() {
		if block := strings.TrimSpace(strings.Join(lines, "\n")); block != "" {
			found = append(found, parseDiagnostic(block))
		}
		lines = nil
	}
	for line := range strings.Lines(text) {
		// Boxes are drawn where colour is not turned off.
		line = strings.TrimLeft(strings.TrimRight(line, " \n"), "╷╵")
		line = strings.TrimPrefix(strings.TrimPrefix(line, "│"), " ")
		if strings.HasPrefix(line, "Error: ") || strings.HasPrefix(line, "Warning: ") {
			flush()
		}
		lines = append(lines, line)
	}
	flush()
	return found
}

func parseDiagnostic(block string) state.Diagnostic {
	head, detail, _ := strings.Cut(block, "\n")
	d := state.Diagnostic{Severity: "error", Summary: head}
	if summary, ok := strings.CutPrefix(head, "Error: "); ok {
		d.Summary = summary
	} else if summary, ok := strings.CutPrefix(head, "Warning: "); ok {
		d.Severity, d.Summary = "warning", summary
	}
	place, text := splitPlace(strings.TrimSpace(detail))
	if rest, ok := strings.CutPrefix(place, "with "); ok {
		address, _, _ := strings.Cut(rest, "\n")
		d.Address = strings.TrimSuffix(address, ",")
	}
	// What is wrong comes first: it makes the headline.
	d.Detail = strings.TrimSpace(text + "\n\n" + place)
	return d
}

// splitPlace takes apart where in the configuration something is wrong, a
// paragraph that may be missing, and what.
func splitPlace(detail string) (place, text string) {
	if !strings.HasPrefix(detail, "with ") && !strings.HasPrefix(detail, "on ") {
		return "", detail
	}
	place, text, _ = strings.Cut(detail, "\n\n")
	return place, strings.TrimSpace(text)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
