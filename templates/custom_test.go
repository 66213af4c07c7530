package templates

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestCustom(t *testing.T) {
	text := "#cloud-config\nhostname: {{ .Name }}\nsecret: {{ .Secret }}\n"
	for _, tt := range []struct{ name, given, want, wantErr string }{
		{"text", text, "#cloud-config\nhostname: agent-a\nsecret: s3cret\n", ""},
		{"base64", base64.StdEncoding.EncodeToString([]byte(text)), "#cloud-config\nhostname: agent-a\nsecret: s3cret\n", ""},
		{"unknown field", "#cloud-config\n{{ .CACert }}\n", "", "userdata:2"},
		{"not a template", "{{ if }}", "", "userdata:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []byte
			render, err := Custom(tt.given)
			if err == nil {
				got, err = render(Agent{Name: "agent-a", Secret: "s3cret"})
			}
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("err = %v, want %q", err, tt.wantErr)
			}
			if string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
