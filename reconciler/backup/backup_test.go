package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/state"
)

// written is a backup of three files, one of them from a folder that has more.
func written(t *testing.T) []byte {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{"main.tf": "# root", "terraform.tfstate": "{}", ".terraform/providers/huge": "x", "cloud-init/agent-a.yaml": "secret"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "link.tf")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := NewWriter(&out, Manifest{Hangar: "1.2.3", Schema: 8, Instance: "k3v7q2mn", At: time.Unix(1000, 0).UTC()})
	if err := w.Bytes(Database, bytes.Repeat([]byte("records"), 1000)); err != nil {
		t.Fatal(err)
	}
	skip := func(rel string) bool { return rel == ".terraform" || strings.HasSuffix(rel, ".tfstate") }
	if err := w.Folder("stacks/s", folder, skip); err != nil {
		t.Fatal(err)
	}
	if err := w.Folder("ssh", filepath.Join(folder, "none"), skip); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRoundTrip(t *testing.T) {
	folder := t.TempDir()
	m, err := Extract(bytes.NewReader(written(t)), folder)
	if err != nil {
		t.Fatal(err)
	}
	if m.Instance != "k3v7q2mn" || m.Schema != 8 || m.Hangar != "1.2.3" || m.Format != Format || !m.At.Equal(time.Unix(1000, 0)) {
		t.Errorf("manifest %+v", m)
	}
	want := []string{Database, "stacks/s/cloud-init/agent-a.yaml", "stacks/s/main.tf"}
	if got := slices.Sorted(maps.Keys(m.Files)); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	for _, name := range want {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if content, err := os.ReadFile(filepath.Join(folder, "stacks/s/cloud-init/agent-a.yaml")); string(content) != "secret" {
		t.Errorf("content %q, %v", content, err)
	}
}

// A backup that was cut off, anywhere, or damaged, is known as such.
func TestDamage(t *testing.T) {
	whole := written(t)
	for n := range len(whole) {
		if _, err := Extract(bytes.NewReader(whole[:n]), t.TempDir()); state.CodeOf(err) != state.Invalid {
			t.Errorf("cut off after %d of %d bytes: %v", n, len(whole), err)
		}
	}
	plain := unzipped(t, whole)
	for n := 10; n < len(whole); n++ { // before are names and times that nobody needs
		hurt := bytes.Clone(whole)
		hurt[n] ^= 0x10
		_, err := Extract(bytes.NewReader(hurt), t.TempDir())
		// Some bits of a compressed file mean nothing.
		if state.CodeOf(err) != state.Invalid && (err != nil || !bytes.Equal(unzipped(t, hurt), plain)) {
			t.Errorf("byte %d of %d is another: %v", n, len(whole), err)
		}
	}
}

func unzipped(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Nothing is written outside the folder, and nothing that the manifest does not
// list is taken.
func TestForeign(t *testing.T) {
	for name, header := range map[string]tar.Header{
		"out of the folder": {Name: "../stray", Typeflag: tar.TypeReg},
		"absolute":          {Name: "/tmp/stray", Typeflag: tar.TypeReg},
		"a link":            {Name: "ssh", Linkname: "/etc", Typeflag: tar.TypeSymlink},
		"a hard link":       {Name: "ssh", Linkname: "/etc/passwd", Typeflag: tar.TypeLink},
		"not listed":        {Name: "ssh/id_ed25519", Typeflag: tar.TypeReg},
		"twice":             {Name: Database, Typeflag: tar.TypeReg},
		"not clean":         {Name: "ssh/../ssh/key", Typeflag: tar.TypeReg},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			w := NewWriter(&out, Manifest{})
			if err := w.Bytes(Database, []byte("records")); err != nil {
				t.Fatal(err)
			}
			if err := w.out.WriteHeader(&header); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			parent := t.TempDir()
			folder := filepath.Join(parent, "data")
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if _, err := Extract(&out, folder); state.CodeOf(err) != state.Invalid {
				t.Errorf("err = %v", err)
			}
			if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
				t.Errorf("beside the folder: %v, %v", entries, err)
			}
		})
	}
}

func TestNewerFormatAndNoBackup(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, Manifest{Hangar: "9.9"})
	w.manifest.Format = Format + 1
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Extract(&out, t.TempDir()); state.CodeOf(err) != state.Invalid || !strings.Contains(err.Error(), "9.9") {
		t.Errorf("a newer format: %v", err)
	}
	var other bytes.Buffer
	packed := gzip.NewWriter(&other)
	archive := tar.NewWriter(packed)
	archive.Close()
	packed.Close()
	for _, text := range []string{"", "no archive", other.String()} {
		if _, err := Extract(strings.NewReader(text), t.TempDir()); state.CodeOf(err) != state.Invalid || !strings.Contains(err.Error(), "no backup") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
