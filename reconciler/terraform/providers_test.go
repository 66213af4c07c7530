package terraform

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"hangar/tfmodules"
)

// registry is a provider registry that has one provider, in one version, signed:
// https://developer.hashicorp.com/terraform/internals/provider-registry-protocol.
// It returns the settings by which terraform takes it for a host.
func registry(t *testing.T, host, provider, version string, sums func(string) string) (config string) {
	t.Helper()
	file := fmt.Sprintf("terraform-provider-%s_%s_linux_amd64.zip", filepath.Base(provider), version)
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	for _, name := range []string{"LICENSE", fmt.Sprintf("terraform-provider-%s_v%s", filepath.Base(provider), version)} {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate}
		header.SetMode(0o755)
		w, err := z.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, "this is "+name)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(packed.Bytes()))
	list := sums(sum) + "  " + file + "\n"
	signer, err := openpgp.NewEntity("registry", "", "registry@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	var signature, key bytes.Buffer
	if err := openpgp.DetachSign(&signature, signer, strings.NewReader(list), nil); err != nil {
		t.Fatal(err)
	}
	armored, err := armor.Encode(&key, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := signer.Serialize(armored); err != nil {
		t.Fatal(err)
	}
	if err := armored.Close(); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	answer := func(path string, body any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(body)
		})
	}
	answer("/"+provider+"/versions", map[string]any{"versions": []any{map[string]any{"version": version, "protocols": []string{"6.0"},
		"platforms": []any{map[string]any{"os": "linux", "arch": "amd64"}}}}})
	answer("/"+provider+"/"+version+"/download/linux/amd64", map[string]any{
		"protocols": []string{"6.0"}, "os": "linux", "arch": "amd64", "filename": file, "download_url": s.URL + "/zip", "shasum": sum,
		"shasums_url": s.URL + "/sums", "shasums_signature_url": s.URL + "/sums.sig",
		"signing_keys": map[string]any{"gpg_public_keys": []any{map[string]any{"key_id": signer.PrimaryKey.KeyIdString(), "ascii_armor": key.String()}}},
	})
	for path, content := range map[string][]byte{"/zip": packed.Bytes(), "/sums": []byte(list), "/sums.sig": signature.Bytes()} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
	}
	config = filepath.Join(t.TempDir(), "cli.tfrc")
	text := fmt.Sprintf("host %q {\n  services = {\n    \"providers.v1\" = %q\n  }\n}\n", host, s.URL+"/")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// The providers of a module come from its registry into a mirror, unpacked, that
// is one for hangar; what is not as it was signed does not.
func TestFillMirror(t *testing.T) {
	need(t, "terraform")
	binary, err := Find(t.Context(), FindOptions{})
	if err != nil {
		t.Fatal(err)
	}
	module, err := tfmodules.Shipped("packet")
	if err != nil {
		t.Fatal(err)
	}
	fill := func(sums func(string) string) (string, error) {
		dir := filepath.Join(t.TempDir(), "mirror")
		config := registry(t, "registry.terraform.io", "equinix/equinix", "4.16.1", sums)
		return dir, binary.FillMirror(t.Context(), dir, "linux_amd64", append(os.Environ(), "TF_CLI_CONFIG_FILE="+config), module)
	}
	dir, err := fill(func(sum string) string { return sum })
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			files = append(files, name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	const folder = "registry.terraform.io/equinix/equinix/4.16.1/linux_amd64/"
	if want := []string{folder + "LICENSE", folder + "terraform-provider-equinix_v4.16.1"}; strings.Join(files, " ") != strings.Join(want, " ") {
		t.Errorf("the mirror holds %v, want %v", files, want)
	}
	if info, err := os.Stat(filepath.Join(dir, folder, "terraform-provider-equinix_v4.16.1")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the provider: %v, %v", info, err)
	}
	r := &Runner{Mirror: dir}
	if found, err := r.mirrored(module.Providers[0]); platform == "linux_amd64" && (err != nil || len(found) != 2) {
		t.Errorf("hangar finds %v there, %v", found, err)
	}
	if _, err := fill(func(sum string) string { return strings.Repeat("0", len(sum)) }); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("a provider that is not as it was signed: %v", err)
	}
}
