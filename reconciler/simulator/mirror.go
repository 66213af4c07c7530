package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"hangar/reconciler/simulator/plugin"
)

// The provider that is stood in for.
const (
	equinixAddress = "registry.terraform.io/equinix/equinix"
	equinixVersion = "4.16.1"
	providerPrefix = "terraform-provider-equinix"
	waitsFile      = "waits.json" // beside the provider
)

// Waits is for how long the stand-in provider waits. A zero field means what
// the real provider does.
type Waits struct {
	FirstPoll  time.Duration // from a create to the first look at the device: 10s
	NextPoll   time.Duration // to the next look, doubled each time: 3s
	MaxPoll    time.Duration // at most between looks: 10s
	FirstRetry time.Duration // before a failed call is repeated, doubled each time: 1s
	MaxRetry   time.Duration // at most before a repetition: 30s
}

// orReal fills in the real provider's waits.
func (w Waits) orReal() Waits {
	for field, real := range map[*time.Duration]time.Duration{
		&w.FirstPoll: 10 * time.Second, &w.NextPoll: 3 * time.Second, &w.MaxPoll: 10 * time.Second,
		&w.FirstRetry: time.Second, &w.MaxRetry: 30 * time.Second,
	} {
		if *field == 0 {
			*field = real
		}
	}
	return w
}

// IsProvider says whether a program that was started under this name is to
// serve as the stand-in provider.
func IsProvider(arg0 string) bool {
	return strings.HasPrefix(filepath.Base(arg0), providerPrefix)
}

// ServeProvider serves the stand-in for equinix/equinix to the terraform that
// started this process, until it is done.
func ServeProvider() error {
	waits, err := readWaits()
	if err != nil {
		return fmt.Errorf("serve simulated provider: %w", err)
	}
	s, err := plugin.ParseSchemas(equinixSchemas, equinixAddress)
	if err != nil {
		return fmt.Errorf("serve simulated provider: %w", err)
	}
	return tf6server.Serve(equinixAddress, func() tfprotov6.ProviderServer {
		return plugin.New(s, newEquinix(waits, os.Getenv))
	})
}

// readWaits reads the file that Mirror puts beside the provider.
func readWaits() (Waits, error) {
	var w Waits
	executable, err := os.Executable()
	if err != nil {
		return w, err
	}
	data, err := os.ReadFile(filepath.Join(filepath.Dir(executable), waitsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return w.orReal(), nil
	}
	if err != nil {
		return w, err
	}
	err = json.Unmarshal(data, &w)
	return w.orReal(), err
}

// Mirror lays out under dir an unpacked provider mirror, as terraform's
// filesystem_mirror wants it, that holds this program as the stand-in for
// equinix/equinix, with the given waits. What is there and the same already
// is left alone: terraform's lock files hold its hash.
func Mirror(dir string, waits Waits) error {
	folder := filepath.Join(dir, filepath.FromSlash(equinixAddress), equinixVersion, runtime.GOOS+"_"+runtime.GOARCH)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make provider mirror: %w", err)
	}
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("make provider mirror: %w", err)
	}
	if err := place(executable, filepath.Join(folder, providerPrefix+"_v"+equinixVersion)); err != nil {
		return fmt.Errorf("make provider mirror: %w", err)
	}
	data, err := json.Marshal(waits)
	if err != nil {
		return fmt.Errorf("make provider mirror: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, waitsFile), data, 0o600); err != nil {
		return fmt.Errorf("make provider mirror: %w", err)
	}
	return nil
}

// place makes target the same file as source: a hard link, or a copy where
// that cannot be (another file system, another owner).
func place(source, target string) error {
	from, err := os.Stat(source)
	if err != nil {
		return err
	}
	if to, err := os.Stat(target); err == nil && os.SameFile(from, to) {
		return nil
	}
	temporary := target + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if os.Link(source, temporary) != nil {
		if err := copyProgram(source, temporary); err != nil {
			return err
		}
	}
	return os.Rename(temporary, target)
}

func copyProgram(source, target string) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
