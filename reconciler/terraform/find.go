// Package terraform runs Terraform, or OpenTofu: it finds or installs the
// binary, renders the stacks, and plans, applies and reads them. It is the
// only user of terraform-exec, terraform-json and hc-install.
package terraform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/hashicorp/go-version"
)

// PinnedVersion is the terraform that is installed when there is none and no
// other is asked for.
const PinnedVersion = "1.11.4"

// Product is whose terraform it is.
type Product string

// The products.
const (
	Terraform Product = "terraform"
	Tofu      Product = "tofu"
)

// oldest is the first version of each product that runs what is rendered:
// import blocks, and sensitive values within for_each.
var oldest = map[Product]*version.Version{
	Terraform: version.Must(version.NewVersion("1.7.0")),
	Tofu:      version.Must(version.NewVersion("1.8.0")),
}

// Binary is a terraform that can be run.
type Binary struct {
	Path    string // absolute
	Product Product
	Version string
}

// FindOptions say where to look for terraform.
type FindOptions struct {
	Binary  string // DRONE_TERRAFORM_BINARY; empty: look further
	Dir     string // where one is installed: terraform/ in the data folder
	Version string // DRONE_TERRAFORM_VERSION, to install; empty: PinnedVersion

	// LookPath finds a program on PATH; nil: exec.LookPath.
	LookPath func(name string) (string, error)
	// Install puts terraform of a version into a folder and returns its path;
	// nil: from HashiCorp's releases, checksum and signature verified.
	Install func(ctx context.Context, version, dir string) (string, error)
}

// Find returns the named binary, or terraform or tofu on PATH, or the one
// that was installed before, or installs one; only that needs the network.
// What it finds first counts: when that is too old, it is an error.
func Find(ctx context.Context, o FindOptions) (Binary, error) {
	if o.LookPath == nil {
		o.LookPath = exec.LookPath
	}
	if o.Install == nil {
		o.Install = installRelease
	}
	if o.Version == "" {
		o.Version = PinnedVersion
	}
	if o.Binary != "" {
		path, err := o.LookPath(o.Binary)
		if err != nil {
			return Binary{}, fmt.Errorf("DRONE_TERRAFORM_BINARY=%s: %w", o.Binary, err)
		}
		b, err := inspect(ctx, path)
		if err != nil {
			return Binary{}, fmt.Errorf("DRONE_TERRAFORM_BINARY=%s: %w", o.Binary, err)
		}
		return b, nil
	}
	for _, product := range []Product{Terraform, Tofu} {
		if path, err := o.LookPath(string(product)); err == nil {
			return inspect(ctx, path)
		}
	}
	path := filepath.Join(o.Dir, "terraform-"+o.Version, "terraform")
	if _, err := os.Stat(path); err == nil {
		return inspect(ctx, path)
	}
	if err := install(ctx, o, filepath.Dir(path)); err != nil {
		return Binary{}, fmt.Errorf("no terraform or tofu on PATH, and terraform %s could not be installed: %w; set DRONE_TERRAFORM_BINARY to one", o.Version, err)
	}
	return inspect(ctx, path)
}

// install makes target appear whole or not at all.
func install(ctx context.Context, o FindOptions, target string) error {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(o.Dir, ".install-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	path, err := o.Install(ctx, o.Version, tmp)
	if err != nil {
		return err
	}
	if want := filepath.Join(tmp, "terraform"); path != want {
		return fmt.Errorf("installed as %s, not %s", path, want)
	}
	return os.Rename(tmp, target)
}

var versionLine = regexp.MustCompile(`(?m)^(Terraform|OpenTofu) v(\S+)`)

// inspect asks a binary what it is, and refuses one that is too old.
func inspect(ctx context.Context, path string) (Binary, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Binary{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1", "TF_LOG=", "TF_CLI_ARGS=", "TF_CLI_ARGS_version=")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return Binary{}, fmt.Errorf("%s version: %w", path, err)
	}
	words := versionLine.FindStringSubmatch(string(out))
	if words == nil {
		return Binary{}, fmt.Errorf("%s is neither terraform nor tofu: its version says %q", path, firstLine(string(out)))
	}
	b := Binary{Path: path, Product: Terraform, Version: words[2]}
	if words[1] == "OpenTofu" {
		b.Product = Tofu
	}
	return b, b.check()
}

func (b Binary) check() error {
	v, err := version.NewVersion(b.Version)
	if err != nil {
		return fmt.Errorf("%s: version %q: %w", b.Path, b.Version, err)
	}
	if least := oldest[b.Product]; v.Core().LessThan(least) {
		return errors.New(string(b.Product) + " " + b.Version + " at " + b.Path + " is too old: hangar needs terraform 1.7 or newer, or tofu 1.8 or newer; " +
			"update it, or set DRONE_TERRAFORM_BINARY to another one")
	}
	return nil
}
