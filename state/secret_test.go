package state

import "testing"

func TestSecretName(t *testing.T) {
	for _, tt := range []struct {
		name string
		want bool
	}{
		{"user_data", true},
		{"user_data_base64", true},
		{"user_data_content_hash", true},
		{"User-Data", true},
		{"custom_data", true},
		{"cloud-init", true},
		{"root_password", true},
		{"admin_pass", true},
		{"auth_token", true},
		{"private_key", true},
		{"", false},
		{"hostname", false},
		{"access_private_ipv4", false},
		{"ssh_key_ids", false},
		{"id", false},
		{"tags", false},
	} {
		if got := SecretName(tt.name); got != tt.want {
			t.Errorf("%q: %t, want %t", tt.name, got, tt.want)
		}
	}
}
