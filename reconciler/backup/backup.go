// Package backup writes what an installation needs to go on elsewhere into one
// file, and reads it back.
//
// A backup is a tar.gz of regular files. Its last one, manifest.json, lists all
// others with their checksums, so that a file that was cut off anywhere is known
// as such.
package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"hangar/state"
)

// Format is the version of the file's layout.
const Format = 1

// Database is the name of the records in a backup.
const Database = "database.sqlite"

const manifestName = "manifest.json"

// Manifest tells what a backup is.
type Manifest struct {
	Format   int               `json:"format"`
	Hangar   string            `json:"hangar"`   // the release that wrote it
	Schema   int               `json:"schema"`   // version of the records' schema
	Instance string            `json:"instance"` // the installation's id
	At       time.Time         `json:"at"`       // as of when the records are
	Files    map[string]string `json:"files"`    // SHA-256 in hex, by name
}

// Writer writes a backup, file by file.
type Writer struct {
	manifest Manifest
	packed   *gzip.Writer
	out      *tar.Writer
}

// NewWriter begins a backup. The format and the files of the manifest are filled in.
func NewWriter(w io.Writer, m Manifest) *Writer {
	m.Format, m.Files = Format, map[string]string{}
	packed := gzip.NewWriter(w)
	return &Writer{manifest: m, packed: packed, out: tar.NewWriter(packed)}
}

// Bytes adds a file with this content.
func (w *Writer) Bytes(name string, content []byte) error {
	return w.add(name, int64(len(content)), bytes.NewReader(content))
}

// File adds the file at path. It must not shrink meanwhile.
func (w *Writer) File(name, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return w.add(name, info.Size(), file)
}

// Folder adds the regular files below a folder under the prefix, all but those
// that skip tells by their path within the folder. What vanishes while it is read
// is not wanted any more; there may be no folder at all.
func (w *Writer) Folder(prefix, folder string, skip func(rel string) bool) error {
	return filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		switch {
		case rel != "." && skip(rel) && d.IsDir():
			return filepath.SkipDir
		case rel != "." && skip(rel), !d.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return w.Bytes(path.Join(prefix, filepath.ToSlash(rel)), content)
	})
}

func (w *Writer) add(name string, size int64, content io.Reader) error {
	header := &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: w.manifest.At, Format: tar.FormatPAX}
	if err := w.out.WriteHeader(header); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(w.out, sum), content, size); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.manifest.Files[name] = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// Close writes the manifest. Without it the backup is none.
func (w *Writer) Close() error {
	text, err := json.MarshalIndent(w.manifest, "", "  ")
	if err != nil {
		return err
	}
	if err := w.Bytes(manifestName, append(text, '\n')); err != nil {
		return err
	}
	return errors.Join(w.out.Close(), w.packed.Close())
}

// Extract unpacks a backup into an empty folder, its files (0600) for their owner
// alone. The error is Invalid for what is no whole backup, or one of a later
// format: the folder holds nothing of use then.
func Extract(r io.Reader, folder string) (Manifest, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return Manifest{}, err
	}
	defer root.Close()
	packed, err := gzip.NewReader(r)
	if err != nil {
		return Manifest{}, state.Errorf(state.Invalid, "it is no backup of hangar's: %v", err)
	}
	var text []byte
	sums := map[string]string{}
	for in := tar.NewReader(packed); ; {
		header, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return Manifest{}, state.Errorf(state.Invalid, "it is damaged, or was cut off: %v", err)
		}
		if header.Typeflag != tar.TypeReg || !filepath.IsLocal(header.Name) || path.Clean(header.Name) != header.Name || sums[header.Name] != "" || text != nil {
			return Manifest{}, state.Errorf(state.Invalid, "it was not written by hangar: %q has no place in it", header.Name)
		}
		if header.Name == manifestName {
			if text, err = io.ReadAll(in); err != nil {
				return Manifest{}, state.Errorf(state.Invalid, "it is damaged, or was cut off: %v", err)
			}
			continue
		}
		if sums[header.Name], err = unpack(root, header.Name, in); err != nil {
			return Manifest{}, err
		}
	}
	if _, err := io.Copy(io.Discard, packed); err != nil { // its checksum is at the end
		return Manifest{}, state.Errorf(state.Invalid, "it is damaged, or was cut off: %v", err)
	}
	return check(text, sums)
}

func unpack(root *os.Root, name string, content io.Reader) (sum string, err error) {
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return "", err
	}
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	hash := sha256.New()
	read := &reading{in: content}
	if _, err := io.Copy(io.MultiWriter(file, hash), read); err != nil {
		if read.err != nil {
			return "", state.Errorf(state.Invalid, "it is damaged, or was cut off: %v", read.err)
		}
		return "", err // of writing: no room, for example
	}
	return hex.EncodeToString(hash.Sum(nil)), file.Sync()
}

// reading tells an error of reading from one of writing.
type reading struct {
	in  io.Reader
	err error
}

// Read implements io.Reader.
func (r *reading) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// check holds what was unpacked against the manifest.
func check(text []byte, sums map[string]string) (Manifest, error) {
	var m Manifest
	if text == nil {
		return m, state.Errorf(state.Invalid, "it is no backup of hangar's, or was cut off: it has no %s", manifestName)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, state.Errorf(state.Invalid, "%s: %v", manifestName, err)
	}
	if m.Format > Format {
		return m, state.Errorf(state.Invalid, "it was written by hangar %s, in a format that this hangar does not know: restore it with that release", m.Hangar)
	}
	for name, sum := range m.Files {
		if sums[name] != sum {
			return m, state.Errorf(state.Invalid, "%s is damaged or missing in it", name)
		}
	}
	for name := range sums {
		if m.Files[name] == "" {
			return m, state.Errorf(state.Invalid, "it was not written by hangar: %q has no place in it", name)
		}
	}
	if m.Files[Database] == "" {
		return m, state.Errorf(state.Invalid, "it holds no records")
	}
	return m, nil
}
