package agent

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// needSSHD skips a test where OpenSSH's server is not to be had, unless it is
// required.
func needSSHD(t testing.TB) string {
	t.Helper()
	for _, path := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if slices.Contains(strings.Split(os.Getenv("HANGAR_REQUIRE"), ","), "sshd") {
		t.Fatal("there is no sshd (Debian: openssh-server)")
	}
	t.Skip("there is no sshd (Debian: openssh-server)")
	return ""
}

func newKeys(t testing.TB) *Keys {
	t.Helper()
	keys, err := LoadKeys(filepath.Join(t.TempDir(), "ssh"), "")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestLoadKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "ssh")
	keys, err := LoadKeys(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKeys(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if keys.AuthorizedKey() != again.AuthorizedKey() {
		t.Error("the login key changed")
	}
	for name, mode := range map[string]os.FileMode{".": 0o700 | os.ModeDir, "id_ed25519": 0o600, "id_ed25519.pub": 0o600, "host-seed": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); left != nil {
		t.Errorf("left behind: %q", left)
	}
	public, err := os.ReadFile(filepath.Join(dir, "id_ed25519.pub"))
	if err != nil || string(public) != keys.AuthorizedKey()+"\n" || !strings.HasPrefix(keys.AuthorizedKey(), "ssh-ed25519 AAAA") {
		t.Errorf("%q, %v", public, err)
	}
}

// Of many that start at once, all have the same keys.
func TestLoadKeysAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	lines := make([]string, 8)
	for i := range lines {
		wg.Go(func() {
			keys, err := LoadKeys(dir, "")
			if err != nil { // another one's login key came before this one's seed
				keys, err = LoadKeys(dir, "")
			}
			if err != nil {
				t.Error(err)
				return
			}
			_, host, _ := keys.HostKey("agent-x")
			lines[i] = keys.AuthorizedKey() + host
		})
	}
	wg.Wait()
	for _, line := range lines {
		if line != lines[0] {
			t.Errorf("%q and %q", line, lines[0])
		}
	}
}

func TestLoginKeyFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(plain)
	public := newKeys(t).AuthorizedKey()
	tests := []struct{ name, path, want string }{
		{name: "good", path: write("good", 0o600, text)},
		{name: "missing", path: filepath.Join(dir, "none"), want: "no such file"},
		{name: "encrypted", path: write("locked", 0o600, pem.EncodeToMemory(locked)), want: "encrypted with a passphrase"},
		{name: "public", path: write("public", 0o600, []byte(public)), want: "holds a public key"},
		{name: "no key", path: write("junk", 0o600, []byte("junk-junk")), want: "holds no private SSH key"},
		{name: "readable by others", path: write("open", 0o644, text), want: "chmod 600"},
		{name: "folder", path: dir, want: "is a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "ssh")
			keys, err := LoadKeys(data, tt.path)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "junk-junk") {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil || !strings.HasPrefix(keys.AuthorizedKey(), "ecdsa-sha2-nistp256 ") {
				t.Errorf("%v", err)
			}
			if _, err := os.Stat(filepath.Join(data, "id_ed25519")); err == nil {
				t.Error("a key was made that is not used")
			}
		})
	}
}

// A lost seed is not made anew silently: every machine would be refused.
func TestLostSeed(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadKeys(dir, ""); err != nil {
		t.Fatal(err)
	}
	seed := filepath.Join(dir, "host-seed")
	for _, text := range []string{"", "0123", strings.Repeat("xy", seedSize)} {
		if err := os.WriteFile(seed, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKeys(dir, ""); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("seed %q: %v", text, err)
		}
	}
	if err := os.Remove(seed); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKeys(dir, ""); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
		t.Errorf("%v", err)
	}
}

func TestHostKey(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "host-seed"), []byte(strings.Repeat("07", seedSize)), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := LoadKeys(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	private, public, err := keys.HostKey("agent-abcdefgh")
	if err != nil {
		t.Fatal(err)
	}
	// Pinned: machines in the field have keys that were made this way.
	if want := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICRB7fs2P8qcwV0ODMNgNT1fMGKl9YH2cKgOBg1Zrs5C agent-abcdefgh"; public != want {
		t.Errorf("got %q, want %q", public, want)
	}
	if again, _, _ := keys.HostKey("agent-abcdefgh"); string(again) != string(private) {
		t.Error("the same key is not the same text")
	}
	if _, other, _ := keys.HostKey("agent-abcdefgi"); strings.Fields(other)[1] == strings.Fields(public)[1] {
		t.Error("two servers share a key")
	}
	parsed, err := ssh.ParseRawPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := parsed.(*ed25519.PrivateKey); !ok {
		t.Errorf("a %T", parsed)
	}
	if _, _, err := keys.HostKey(""); err == nil {
		t.Error("a key for nobody")
	}

	needSSHD(t) // OpenSSH reads it too
	path := filepath.Join(dir, "host")
	if err := os.WriteFile(path, private, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ssh-keygen", "-y", "-f", path).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != public {
		t.Errorf("%v: %s, want %s", err, out, public)
	}
}
