package tfmodules

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// copying serialises copies: replacing a damaged one takes two steps.
var copying sync.Mutex

// Copy makes sure that dir holds the module's copy, in dir/<Folder>, and
// returns its path. A copy that is there is left alone, unless it is damaged:
// then it is replaced. The copy appears whole or not at all.
func (m Module) Copy(dir string) (string, error) {
	copying.Lock()
	defer copying.Unlock()
	target := filepath.Join(dir, m.Folder())
	if there, err := Open(target); err == nil && there.equal(m) {
		return target, nil
	}
	if err := m.replace(dir, target); err != nil {
		return "", fmt.Errorf("copy module %s: %w", m.Name, err)
	}
	return target, nil
}

func (m Module) replace(dir, target string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, ".copy-") // 0700
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp) // what is left of it when something fails
	if err := m.write(tmp); err != nil {
		return err
	}
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	if err := os.Rename(tmp, target); err != nil {
		return err
	}
	return syncFolder(dir)
}

// write puts the module's files into dir, and on disk.
func (m Module) write(dir string) error {
	folders := map[string]bool{dir: true}
	for p, content := range m.files {
		full := filepath.Join(dir, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			return err
		}
		if err := writeSynced(full, content); err != nil {
			return err
		}
		for f := filepath.Dir(full); f != dir; f = filepath.Dir(f) {
			folders[f] = true
		}
	}
	for f := range folders {
		if err := syncFolder(f); err != nil {
			return err
		}
	}
	return nil
}

func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Open loads a module's copy and checks that it is what its folder's name
// says: an incomplete or changed copy is an error.
func Open(path string) (Module, error) {
	folder := filepath.Base(path)
	dash := strings.LastIndex(folder, "-")
	if dash < 0 {
		return Module{}, fmt.Errorf("module copy %q: its name lacks a hash", folder)
	}
	if _, err := os.Stat(path); err != nil {
		return Module{}, fmt.Errorf("module copy %s: %w", folder, err)
	}
	files, err := readFiles(os.DirFS(path))
	if err != nil {
		return Module{}, fmt.Errorf("module copy %s: %w", folder, err)
	}
	if hashFiles(files)[:hashLength] != folder[dash+1:] {
		return Module{}, fmt.Errorf("module copy %s is damaged: its files are not those that its name stands for", folder)
	}
	return Load(os.DirFS(path), folder[:dash])
}
