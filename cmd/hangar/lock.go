package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// lockData takes the data folder for this process, so that no two of them
// reconcile the same records. The file tells who holds it.
func lockData(data string) (release func(), err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w; set DRONE_DATA to a folder that can be written", err)
	}
	path := filepath.Join(data, "hangar.lock")
	lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w; set DRONE_DATA to a folder that can be written", err)
	}
	if !held {
		holder, _ := os.ReadFile(path)
		return nil, fmt.Errorf("the data folder %s is in use by %s; end it first, or set DRONE_DATA to another folder", data, strings.TrimSpace(string(holder)))
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, "process %d\n", os.Getpid()), 0o600); err != nil {
		lock.Unlock()
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	return func() { lock.Unlock() }, nil
}
