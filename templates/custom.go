package templates

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"
)

// customFuncs are what a user's template can call beside what every Go
// template can.
var customFuncs = template.FuncMap{
	"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"quote":  quote,
}

// Custom makes a renderer of a user's own user data: a Go template with the
// fields of Agent, as text or in base64, as drone/autoscaler takes it. Errors
// name line and column. Fields that do not exist are told here, wherever a
// filled or an empty Agent leads.
func Custom(text string) (func(Agent) ([]byte, error), error) {
	if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil && utf8.Valid(decoded) {
		text = string(decoded)
	}
	t, err := template.New("userdata").Option("missingkey=error").Funcs(customFuncs).Parse(text)
	if err != nil {
		return nil, explain(err)
	}
	render := func(agent Agent) ([]byte, error) {
		var b bytes.Buffer
		if err := t.Execute(&b, agent); err != nil {
			return nil, explain(err)
		}
		return b.Bytes(), nil
	}
	for _, sample := range []Agent{fullAgent, {}} {
		var unknown unknownField
		if _, err := render(sample); errors.As(err, &unknown) {
			return nil, err
		}
	}
	return render, nil
}

// fullAgent has something in every field, so that a template that asks whether
// there is something takes that way.
var fullAgent = Agent{
	Name: "agent-a", Image: "image", Proto: "https", Host: "host", Secret: "secret", Capacity: 1,
	OS: "linux", Arch: "arm64", Variant: "v8", Kernel: "6",
	Labels: map[string]string{"a": "b"}, Environ: []string{"A=b"}, Volumes: []string{"/a:/b"}, Ports: []string{"80:80"},
	RunnerVolumes: "/a:/b", RunnerDevices: "/a:/b", RunnerPrivileged: "image", RunnerEnvFile: "/file",
	GC:            GC{Enabled: true, Image: "image", Debug: true, Ignore: []string{"image"}, Interval: time.Hour, Cache: "10gb"},
	Watchtower:    Watchtower{Enabled: true, Image: "image", Aids: true, Signal: "SIGTERM", Interval: 300, Timeout: time.Hour},
	AuthorizedKey: "key", HostKeyPrivate: "key", HostKeyPublic: "key", SSHUser: "root", SSHPort: 22,
}

// unknownField is a field that a template names and that is not there.
type unknownField struct {
	at, field string // line and column
	exist     []string
}

func (e unknownField) Error() string {
	hint := ""
	switch e.field {
	case "CACert", "CAKey", "TLSCert", "TLSKey":
		hint = " (Docker listens on no port, and needs no certificate)"
	}
	return fmt.Sprintf("line %s: there is no field %s%s; there are %s", e.at, e.field, hint, strings.Join(e.exist, ", "))
}

var (
	templateAt    = regexp.MustCompile(`^template: userdata:([0-9:]+): (?:executing "[^"]*" at )?(.*)$`)
	templateField = regexp.MustCompile(`can't evaluate field (\w+) in type (\S+)$`)
)

// explain says in a user's words what text/template says in its own.
func explain(err error) error {
	at := templateAt.FindStringSubmatch(err.Error())
	if at == nil {
		return fmt.Errorf("the user data is no template: %w", err)
	}
	line := strings.TrimSuffix(at[1], ":")
	if m := templateField.FindStringSubmatch(at[2]); m != nil {
		for _, of := range []any{Agent{}, GC{}, Watchtower{}} {
			if t := reflect.TypeOf(of); t.String() == m[2] {
				return unknownField{line, m[1], fields(t)}
			}
		}
	}
	return fmt.Errorf("line %s: %s", line, at[2])
}

func fields(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		names = append(names, f.Name)
	}
	return names
}
