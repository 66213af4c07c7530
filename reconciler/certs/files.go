package certs

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// Files is a certificate and its key in two PEM files. May be used
// concurrently.
type Files struct {
	Log *slog.Logger // slog's default by default

	paths [2]string // certificate, key

	mu     sync.Mutex
	pair   *tls.Certificate
	read   [2]os.FileInfo // the files, as they were just before they were read
	faulty string         // why the newest files are not used; empty: they are
}

// Read reads the two files. Its error says which of them cannot be read, or
// that they do not fit each other.
func Read(cert, key string) (*Files, error) {
	f := &Files{Log: slog.Default(), paths: [2]string{cert, key}}
	found, err := f.look()
	if err == nil {
		err = f.load(found)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Certificate is for tls.Config.GetCertificate. It reads the files again when
// they have changed. While they are not a pair, as in the middle of a renewal,
// the last good one is shown, and the log says so once.
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found, err := f.look()
	if err == nil {
		if f.same(found) && f.faulty == "" {
			return f.pair, nil
		}
		err = f.load(found)
	}
	switch {
	case err == nil:
		f.faulty = ""
		f.Log.Info("certificate read again", "file", f.paths[0], "until", f.pair.Leaf.NotAfter)
	case err.Error() != f.faulty:
		f.faulty = err.Error()
		f.Log.Warn("new certificate cannot be used; the last good one is", "file", f.paths[0], "error", err)
	}
	return f.pair, nil
}

// look returns what the files are now.
func (f *Files) look() (found [2]os.FileInfo, err error) {
	for i, path := range f.paths {
		if found[i], err = os.Stat(path); err != nil {
			return found, err
		}
	}
	return found, nil
}

// same says whether the files are those that were read.
func (f *Files) same(found [2]os.FileInfo) bool {
	for i, now := range found {
		was := f.read[i]
		if !os.SameFile(now, was) || now.Size() != was.Size() || !now.ModTime().Equal(was.ModTime()) {
			return false
		}
	}
	return true
}

// load reads the files, which were found like this.
func (f *Files) load(found [2]os.FileInfo) error {
	var text [2][]byte
	for i, path := range f.paths {
		var err error
		if text[i], err = os.ReadFile(path); err != nil {
			return err
		}
	}
	pair, err := tls.X509KeyPair(text[0], text[1])
	if err != nil {
		return fmt.Errorf("%s and %s: %w", f.paths[0], f.paths[1], err)
	}
	f.pair, f.read = &pair, found
	return nil
}
