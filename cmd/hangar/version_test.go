package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hangar/reconciler/simulator"
	"hangar/reconciler/terraform"
)

func TestVersion(t *testing.T) {
	needTerraform(t)
	mirror := filepath.Join(t.TempDir(), "mirror")
	if err := simulator.Mirror(mirror, quick); err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(mirror, "registry.example.com", "acme", "cloud")
	if err := os.MkdirAll(packed, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(packed, "terraform-provider-cloud_1.2.3_linux_arm64.zip"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	environ := map[string]string{"DRONE_TERRAFORM_MIRROR": mirror, "DRONE_DATA": t.TempDir()}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"version"}, environ, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"hangar dev (commit unknown)\n", "terraform 1.", "registry.terraform.io/equinix/equinix 4.16.1 for linux_", "registry.example.com/acme/cloud 1.2.3 for linux_arm64"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not told:\n%s", want, &out)
		}
	}
	out.Reset()
	var v versions
	if err := run(t.Context(), []string{"version", "--json"}, environ, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &v); err != nil || len(v.Providers) != 2 || v.Providers[1] != (terraform.Offered{Source: "registry.example.com/acme/cloud", Version: "1.2.3", Platform: "linux_arm64"}) {
		t.Errorf("%+v, %v", v, err)
	}
	// Without terraform it says so, and installs none.
	t.Setenv("PATH", t.TempDir())
	out.Reset()
	if err := run(t.Context(), []string{"version"}, map[string]string{"DRONE_DATA": t.TempDir()}, &out, io.Discard); err != nil || !strings.Contains(out.String(), "no terraform: hangar serve installs 1.") {
		t.Errorf("%v: %s", err, &out)
	}
}
