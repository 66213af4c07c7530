package agent

import "strings"

// setup is how far cloud-init is.
type setup struct {
	status   string   // not started, running, done, degraded, error, disabled; empty: unknown
	problems []string // what went wrong, be it recoverable
}

// statusFields are the fields of cloud-init status --long, of all versions up to 25.
var statusFields = []string{"status", "extended_status", "boot_status_code", "last_update", "time", "detail", "errors", "recoverable_errors"}

// parseStatus reads the answer of cloud-init status --long. Since 23.4 it has
// an extended_status, lists of errors, and exit code 2 for errors that did not
// stop it; before that, detail holds the error, below its line
// (https://docs.cloud-init.io/en/latest/explanation/failure_states.html).
func parseStatus(text string, exit int) setup {
	fields := map[string][]string{}
	field := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(printable(strings.TrimRight(line, "\n")), " \t")
		name, value, found := strings.Cut(line, ":")
		if found && isField(name) {
			field, line = name, value
			fields[field] = nil
		}
		if line = strings.TrimSpace(line); field != "" && line != "" && line != "[]" && line != "{}" {
			fields[field] = append(fields[field], strings.TrimPrefix(line, "- "))
		}
	}
	first := func(name string) string {
		if len(fields[name]) == 0 {
			return ""
		}
		return fields[name][0]
	}
	s := setup{status: first("status"), problems: append(fields["errors"], fields["recoverable_errors"]...)}
	switch s.status {
	case "not run":
		s.status = "not started" // as it is called since 24.1
	case "done":
		if exit == 2 || strings.HasPrefix(first("extended_status"), "degraded") {
			s.status = "degraded"
		}
	case "error":
		if len(s.problems) == 0 {
			s.problems = fields["detail"]
		}
	}
	return s
}

func isField(name string) bool {
	for _, field := range statusFields {
		if name == field {
			return true
		}
	}
	return false
}
