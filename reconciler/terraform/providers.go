package terraform

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"hangar/tfmodules"
)

// FillMirror downloads the providers of modules for a platform, such as
// linux_amd64, into dir, a filesystem mirror as DRONE_TERRAFORM_MIRROR names one.
// terraform providers mirror does it, and verifies checksums and signatures. What
// it brings is unpacked: stacks link an unpacked provider, and would each unpack
// a packed one. env is terraform's environment.
func (b Binary) FillMirror(ctx context.Context, dir, platform string, env []string, modules ...tfmodules.Module) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for _, m := range modules {
		if err := b.mirror(ctx, dir, platform, env, m); err != nil {
			return fmt.Errorf("mirror the providers of module %s: %w", m.Name, err)
		}
	}
	return unpackMirror(dir)
}

func (b Binary) mirror(ctx context.Context, dir, platform string, env []string, m tfmodules.Module) (err error) {
	root, err := os.MkdirTemp("", "hangar-mirror-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	if err := os.WriteFile(filepath.Join(root, "versions.tf"), tfmodules.RenderProviders(m.Providers), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, b.Path, "providers", "mirror", "-platform="+platform, dir)
	cmd.Dir, cmd.Env = root, env
	said, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s providers mirror: %w\n%s", b.Product, err, strings.TrimSpace(string(said)))
	}
	return nil
}

// unpackMirror unpacks the packed providers below dir, in the layout of
// https://developer.hashicorp.com/terraform/cli/config/config-file#filesystem_mirror,
// and removes what only a mirror on the network needs.
func unpackMirror(dir string) error {
	packed, err := filepath.Glob(filepath.Join(dir, "*", "*", "*", "terraform-provider-*.zip"))
	if err != nil {
		return err
	}
	for _, path := range packed {
		// terraform-provider-NAME_VERSION_OS_ARCH.zip
		words := strings.Split(strings.TrimSuffix(filepath.Base(path), ".zip"), "_")
		if len(words) < 4 {
			return fmt.Errorf("unpack %s: that is not the name of a provider", path)
		}
		n := len(words)
		target := filepath.Join(filepath.Dir(path), words[n-3], words[n-2]+"_"+words[n-1])
		if err := unpack(path, target); err != nil {
			return fmt.Errorf("unpack %s: %w", path, err)
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	index, err := filepath.Glob(filepath.Join(dir, "*", "*", "*", "*.json"))
	for _, path := range index {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// unpack makes target hold what is packed, whole or not at all.
func unpack(path, target string) error {
	z, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer z.Close()
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(target), ".unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		if !filepath.IsLocal(f.Name) {
			return fmt.Errorf("it holds %q, which lies outside", f.Name)
		}
		if err := unpackFile(f, filepath.Join(tmp, f.Name)); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	return os.Rename(tmp, target)
}

func unpackFile(f *zip.File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	// Whoever hangar runs as is to read and start it; it is no secret.
	return errors.Join(err, out.Chmod(f.Mode().Perm()|0o444), out.Close())
}

// Offered is a provider in a mirror.
type Offered struct {
	Source   string `json:"source"` // with its host
	Version  string `json:"version"`
	Platform string `json:"platform"` // linux_amd64
}

// InMirror lists the providers in a filesystem mirror, packed or not, by path.
func InMirror(dir string) ([]Offered, error) {
	offered := []Offered{}
	for _, layout := range []string{"*/*/*/*/*_*/terraform-provider-*", "*/*/*/terraform-provider-*_*_*_*.zip"} {
		found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(layout)))
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			name, _ := filepath.Rel(dir, path)
			words := strings.Split(filepath.ToSlash(name), "/")
			o := Offered{Source: strings.Join(words[:3], "/")}
			if len(words) == 6 {
				o.Version, o.Platform = words[3], words[4]
			} else {
				packed := strings.Split(strings.TrimSuffix(words[3], ".zip"), "_")
				o.Version, o.Platform = packed[len(packed)-3], strings.Join(packed[len(packed)-2:], "_")
			}
			offered = append(offered, o)
		}
	}
	return offered, nil
}
