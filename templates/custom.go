package templates

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"text/template"
)

// Custom makes a renderer of a user's own user data: a Go template with the
// fields of Agent, as text or in base64, as drone/autoscaler takes it. Errors
// name the line.
func Custom(text string) (func(Agent) ([]byte, error), error) {
	if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
		text = string(decoded)
	}
	t, err := template.New("userdata").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parse the user data: %w", err)
	}
	return func(agent Agent) ([]byte, error) {
		var b bytes.Buffer
		if err := t.Execute(&b, agent); err != nil {
			return nil, fmt.Errorf("render the user data: %w", err)
		}
		return b.Bytes(), nil
	}, nil
}
