package state

import (
	"maps"
	"strings"
)

// Masked stands where a secret was; terraform writes the same.
const Masked = "(sensitive value)"

// secretNames are what the names of secrets contain. User data is among them
// under every name that providers give it, because it holds the agents' RPC
// secret, and few providers mark it; some keep its hash, which is no better.
var secretNames = []string{
	"user_data", "userdata", "custom_data", "cloud_init", "cloudinit", "cloud_config", "startup_script",
	"password", "passwd", "passphrase", "admin_pass", "secret", "token", "credential", "private_key", "privatekey", "api_key", "apikey",
}

// SecretName says whether an attribute, setting or output of this name is a
// secret whatever its provider says of it. It would rather hide too much.
func SecretName(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	for _, part := range secretNames {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// WithoutSecrets returns a copy of settings, never nil, with the secrets among
// them masked, at any depth.
func WithoutSecrets(settings map[string]any) map[string]any {
	shown := maps.Clone(settings)
	if shown == nil {
		return map[string]any{}
	}
	for name, value := range shown {
		shown[name] = shownSetting(name, value)
	}
	return shown
}

func shownSetting(name string, value any) any {
	if SecretName(name) { // our own modules have none; a user's own module may
		return Masked
	}
	switch value := value.(type) {
	case map[string]any:
		return WithoutSecrets(value)
	case []any:
		items := make([]any, len(value))
		for i, item := range value {
			items[i] = shownSetting(name, item)
		}
		return items
	}
	return value
}
