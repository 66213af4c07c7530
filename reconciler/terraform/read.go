package terraform

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"hangar/state"
	"hangar/tfmodules"
)

// stateFile is where the local backend keeps a stack's state.
const stateFile = "terraform.tfstate"

// Read returns a stack's state and the devices in it, by server. Without a
// state, which is before the first apply, there is no version, and there are
// no devices. The version is there also when only the devices cannot be told.
func (r *Runner) Read(ctx context.Context, stack state.Stack) (*state.StateVersion, map[string]state.Device, error) {
	version, devices, err := r.read(ctx, stack)
	if err != nil {
		return version, nil, fmt.Errorf("read the state of stack %s: %w", stack.Name, err)
	}
	return version, devices, nil
}

func (r *Runner) read(ctx context.Context, stack state.Stack) (*state.StateVersion, map[string]state.Device, error) {
	dir, err := r.stack(stack.Name)
	if err != nil {
		return nil, nil, err
	}
	content, serial, lineage, err := readState(ctx, filepath.Join(dir, stateFile))
	if err != nil {
		return nil, nil, err
	}
	if len(content) == 0 {
		return nil, map[string]state.Device{}, nil
	}
	sum := sha256.Sum256(content)
	version := &state.StateVersion{
		Stack: stack.Name, Serial: serial, Lineage: lineage,
		SHA256: hex.EncodeToString(sum[:]), Size: len(content), Bytes: content,
	}
	module, err := r.module(stack.Module)
	if err != nil {
		return version, nil, err
	}
	devices, err := module.Devices(content)
	return version, devices, err
}

// readState reads a state file again until it is whole, for up to two seconds,
// while a terraform is at work on it: terraform does not write it at once. No
// file is no state, and nor is one that stays empty, as a killed terraform
// leaves it.
func readState(ctx context.Context, path string) (content []byte, serial int64, lineage string, err error) {
	const every, tries = 50 * time.Millisecond, 40
	for try := 1; ; try++ {
		before := locked(path)
		content, err = os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil, 0, "", nil
		}
		if err != nil {
			return nil, 0, "", err
		}
		serial, lineage, err = tfmodules.ParseState(content)
		if !errors.Is(err, tfmodules.ErrIncomplete) {
			return content, serial, lineage, err
		}
		if try == tries || !before && !locked(path) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, 0, "", ctx.Err()
		case <-time.After(every):
		}
	}
	if len(content) == 0 {
		return nil, 0, "", nil
	}
	return nil, 0, "", err
}

// locked tells whether a terraform has the state locked, which it does with
// fcntl as long as it may write it (internal/states/statemgr). Where that
// cannot be told, it may.
func locked(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	defer file.Close()
	asked := syscall.Flock_t{Type: syscall.F_RDLCK, Whence: io.SeekStart}
	return syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &asked) != nil || asked.Type != syscall.F_UNLCK
}
