package terraform

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"

	"hangar/state"
)

func TestMaskedPlansHoldNoSecrets(t *testing.T) {
	files, err := filepath.Glob("testdata/plan-*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	r := Runner{Secrets: []string{"correct-horse"}}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			// The marks alone must do, and so must the secrets alone.
			for _, m := range []masker{r.mask(), (&Runner{}).mask()} {
				got, err := m.plan(raw)
				if err != nil {
					t.Fatal(err)
				}
				for _, secret := range []string{"correct-horse", "S3cretRootPw", "#cloud-config"} {
					if strings.Contains(string(got), secret) {
						t.Errorf("%s is still there", secret)
					}
				}
				var before, after tfjson.Plan
				if err := json.Unmarshal(raw, &before); err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(got, &after); err != nil {
					t.Fatalf("what is left is no plan: %v", err)
				}
				if len(after.ResourceChanges) != len(before.ResourceChanges) || after.ResourceChanges[0].Address != before.ResourceChanges[0].Address {
					t.Error("the plan has lost changes")
				}
			}
		})
	}
}

func TestMask(t *testing.T) {
	const secret = `s3"cr<et`
	tests := []struct {
		name, plan, want string
	}{
		{"a marked attribute", `{"resource_changes":[{"change":{"before":null,"after":{"a":"x","b":1.50},"after_sensitive":{"a":true}}}]}`,
			`{"resource_changes":[{"change":{"after":{"a":"(sensitive value)","b":1.50},"after_sensitive":{"a":true},"before":null}}]}`},
		{"all of it", `{"change":{"before":{"a":"x"},"before_sensitive":true}}`, `{"change":{"before":"(sensitive value)","before_sensitive":true}}`},
		{"in a list", `{"values":{"l":["x",{"k":"y","z":1}]},"sensitive_values":{"l":[false,{"k":true}]}}`,
			`{"sensitive_values":{"l":[false,{"k":true}]},"values":{"l":["x",{"k":"(sensitive value)","z":1}]}}`},
		{"null stays null", `{"values":{"a":null},"sensitive_values":{"a":true}}`, `{"sensitive_values":{"a":true},"values":{"a":null}}`},
		{"an output", `{"outputs":{"o":{"sensitive":true,"value":[1]},"p":{"sensitive":false,"value":2}}}`,
			`{"outputs":{"o":{"sensitive":true,"value":"(sensitive value)"},"p":{"sensitive":false,"value":2}}}`},
		{"user data that nobody marks", `{"values":{"user_data":"#cloud-config"}}`, `{"values":{"user_data":"(sensitive value)"}}`},
		{"user data that is a map", `{"values":{"user_data":{"cloud-init":"#cloud-config"}}}`, `{"values":{"user_data":{"cloud-init":"(sensitive value)"}}}`},
		{"marks stay marks", `{"after_unknown":{"user_data":true}}`, `{"after_unknown":{"user_data":true}}`},
		{"a secret within a string, and a name", `{"a s3\"cr<et":"b s3\"cr<et c"}`, `{"a (sensitive value)":"b (sensitive value) c"}`},
		{"a secret within JSON within a string", `{"a":"{\"k\":\"s3\\\"cr\\u003cet\"}"}`, `{"a":"{\"k\":\"(sensitive value)\"}"}`},
	}
	r := Runner{Secrets: []string{secret, "", "abc"}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := r.mask().plan([]byte(tt.plan))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	if _, err := r.mask().plan([]byte("{")); err == nil {
		t.Error("half a plan was masked")
	}
}

func TestMaskOfAPlanForPeople(t *testing.T) {
	const text = `  # module.devices.x_server.server["agent-b"] will be destroyed
  - resource "x_server" "server" {
      - name      = "agent-b" -> null
      - user_data = {
          - "cloud-init" = <<-EOT
                #cloud-config hush

                name = hush
            EOT
        } -> null
      - zone      = "fr-par-1" -> null
      ~ cloud_init = <<-EOT # forces replacement
            hush
          - hush
          + hush
        EOT

      - root_password = "hush s3cret" -> null
        custom_data   = jsonencode(
            {
                a = "hush"
            }
        )
      + userdata      = (known after apply)
      + api_token     = (sensitive value)
      ~ passwords     = [
            "hush",
          + "hush",
        ]
      ~ token_set     = true -> false

      - credentials {
          - user = "hush" -> null
        }

      - labels    = {
          - "access-token" = "hush"
          - "team"         = "s3cret"
        } -> null
    }

Plan: 0 to add, 0 to change, 1 to destroy.
`
	const want = `  # module.devices.x_server.server["agent-b"] will be destroyed
  - resource "x_server" "server" {
      - name      = "agent-b" -> null
      - user_data = (sensitive value)
      - zone      = "fr-par-1" -> null
      ~ cloud_init = (sensitive value)

      - root_password = (sensitive value)
        custom_data   = (sensitive value)
      + userdata      = (known after apply)
      + api_token     = (sensitive value)
      ~ passwords     = (sensitive value)
      ~ token_set     = true -> false

      - credentials = (sensitive value)

      - labels    = {
          - "access-token" = (sensitive value)
          - "team"         = "(sensitive value)"
        } -> null
    }

Plan: 0 to add, 0 to change, 1 to destroy.
`
	if got := (&Runner{Secrets: []string{"s3cret"}}).mask().planText(text); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMaskWithinBase64(t *testing.T) {
	const secret = "correct-horse-9>?"
	m := (&Runner{Secrets: []string{secret}}).mask()
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
		for _, before := range []string{"", "a", "ab", "abc"} {
			for _, after := range []string{"", "x", "xy", "xyz"} {
				got := m.text("user_data: " + encoding.EncodeToString([]byte(before+secret+after)) + " ")
				if !strings.Contains(got, state.Masked) {
					t.Errorf("between %q and %q it stays: %s", before, after, got)
				}
				left, _, _ := strings.Cut(strings.TrimPrefix(got, "user_data: "), state.Masked)
				if text, err := base64.RawStdEncoding.DecodeString(left[:len(left)/4*4]); err != nil || strings.Contains(string(text), "co") {
					t.Errorf("between %q and %q is left %q of it, %v", before, after, text, err)
				}
			}
		}
	}
}
