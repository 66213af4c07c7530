package tfmodules

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestCopy(t *testing.T) {
	m, err := Load(merge(plain, "census/README", "nothing"), "mine")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "modules")
	path, err := m.Copy(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, m.Folder()); path != want {
		t.Errorf("copied to %s, want %s", path, want)
	}
	back, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !back.equal(m) || back.Resource != m.Resource {
		t.Errorf("the copy differs: %+v", back)
	}
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		info, _ := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", p, info.Mode().Perm(), want)
		}
		return err
	})
	before, _ := os.Stat(path)
	if _, err := m.Copy(dir); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("a good copy was replaced")
	}
}

func TestCopyReplacesDamaged(t *testing.T) {
	m, err := Load(plain, "mine")
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string]func(path string) error{
		"a file is missing": func(p string) error { return os.Remove(filepath.Join(p, "main.tf")) },
		"a file is empty":   func(p string) error { return os.Truncate(filepath.Join(p, "main.tf"), 0) },
		"a file is added":   func(p string) error { return os.WriteFile(filepath.Join(p, "x.tf"), nil, 0o600) },
	}
	for name, do := range damage {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, err := m.Copy(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := do(path); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("opening the damaged copy: %v", err)
			}
			if _, err := m.Copy(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path); err != nil {
				t.Errorf("after the repair: %v", err)
			}
		})
	}
}

func TestCopyConcurrently(t *testing.T) {
	m, err := Shipped("packet")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			path, err := m.Copy(dir)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := Open(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v (%v), want the copy alone", entries, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"nohash", "packet-00000000"} {
		if _, err := Open(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
}
