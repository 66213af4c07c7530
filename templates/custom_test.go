package templates

import (
	"encoding/base64"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestCustom(t *testing.T) {
	text := "#cloud-config\nhostname: {{ .Name }}\nsecret: {{ .Secret }}\n"
	want := "#cloud-config\nhostname: agent-a\nsecret: s3cret\n"
	encoded := base64.StdEncoding.EncodeToString([]byte(text))
	for _, tt := range []struct{ name, given, want, wantErr string }{
		{"text", text, want, ""},
		{"base64", encoded, want, ""},
		{"base64 in lines", encoded[:20] + "\n" + encoded[20:] + "\n", want, ""},
		{"a word that could be base64", "word", "word", ""},
		{"functions", `{{ .Secret | base64 }} {{ .HostKeyPrivate | quote }}`, `czNjcmV0 "a\nb\n"`, ""},
		{"nested fields", `{{ if .GC.Enabled }}gc{{ else }}none{{ end }}`, "none", ""},
		{"an element that may not be there", `{{ with .Volumes }}{{ index . 0 }}{{ end }}`, "", ""},
		{"unknown field", "#cloud-config\n{{ .Nmae }}\n", "", "line 2:3: there is no field Nmae; there are Name, Image, "},
		{"a certificate", "{{ .CACert }}", "", "line 1:3: there is no field CACert (Docker listens on no port"},
		{"unknown field where one is set", "\n\n{{ if .AuthorizedKey }}{{ .HostKey }}{{ end }}", "", "line 3:26: there is no field HostKey; "},
		{"unknown field where none is set", "{{ if .GC.Enabled }}{{ else }}{{ .No }}{{ end }}", "", "line 1:33: there is no field No; "},
		{"unknown nested field", "{{ .GC.Size }}", "", "line 1:6: there is no field Size; there are Enabled, Image, Debug, Ignore, Interval, Cache"},
		{"not a template", "\n{{ if }}", "", "line 2: missing value for if"},
		{"unknown function", "{{ .Name | upper }}", "", `line 1: function "upper" not defined`},
		{"fails when filled", `{{ index .Ports 3 }}`, "", "line 1:3: <index .Ports 3>: error calling index"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []byte
			render, err := Custom(tt.given)
			if err == nil {
				got, err = render(Agent{Name: "agent-a", Secret: "s3cret", HostKeyPrivate: "a\nb\n"})
			}
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.HasPrefix(err.Error(), tt.wantErr) {
				t.Fatalf("err = %v, want %q", err, tt.wantErr)
			}
			if string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The README's template is one, and makes what cloud-init takes.
func TestReadmeTemplate(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "```yaml\n#cloud-config\n")
	text, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("the README shows no template")
	}
	render, err := Custom("#cloud-config\n" + text)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"plain", "odd-ssh"} {
		out, err := render(variants()[name])
		if err != nil {
			t.Fatal(err)
		}
		checkSchema(t, out)
	}
}

// The sample that leads into every branch has something in every field.
func TestFullAgent(t *testing.T) {
	for _, v := range []any{fullAgent, fullAgent.GC, fullAgent.Watchtower} {
		for f, value := range reflect.ValueOf(v).Fields() {
			if value.IsZero() {
				t.Errorf("%T.%s is empty", v, f.Name)
			}
		}
	}
}
