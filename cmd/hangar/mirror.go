package main

import (
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"

	"hangar/reconciler/terraform"
	"hangar/tfmodules"
)

type mirrorCommand struct {
	Dir      string   `arg:"" help:"Folder for the providers; what is there already is kept."`
	Module   []string `default:"packet" help:"Modules whose providers are downloaded: packet, hetznercloud,..."`
	Platform string   `placeholder:"OS_ARCH" help:"Platform of the providers (that of this program), such as linux_arm64."`
}

func (mirrorCommand) Help() string {
	return `Has terraform providers mirror download the providers of modules that come with hangar, and unpacks them. Set DRONE_TERRAFORM_MIRROR to the folder, and hangar serve needs no registry. Terraform is found as by hangar serve: DRONE_TERRAFORM_BINARY, PATH, else DRONE_TERRAFORM_VERSION is installed below DRONE_DATA, its checksum and signature verified.

    hangar mirror /var/lib/hangar-mirror`
}

func (c mirrorCommand) Run(p *program) error {
	cfg, err := parseSettings(p.environ, func(name string) bool {
		return name == "DRONE_DATA" || name == "DRONE_TERRAFORM_BINARY" || name == "DRONE_TERRAFORM_VERSION"
	})
	if err != nil {
		return err
	}
	binary, err := terraform.Find(p.ctx, terraform.FindOptions{Binary: cfg.TerraformBinary, Version: cfg.TerraformVersion, Dir: filepath.Join(cfg.Data, "terraform")})
	if err != nil {
		return err
	}
	var modules []tfmodules.Module
	for _, name := range c.Module {
		m, err := tfmodules.Shipped(name)
		if err != nil {
			return err
		}
		modules = append(modules, m)
	}
	platform := c.Platform
	if platform == "" {
		platform = runtime.GOOS + "_" + runtime.GOARCH
	}
	var env []string // all of it: terraform's own settings hold here, such as those of a registry
	for name, value := range p.environ {
		env = append(env, name+"="+value)
	}
	syscall.Umask(0o022) // there is no secret in a mirror, and hangar may run as somebody else
	if err := binary.FillMirror(p.ctx, c.Dir, platform, env, modules...); err != nil {
		return err
	}
	for _, m := range modules {
		for _, provider := range m.Providers {
			fmt.Fprintf(p.stdout, "%s %s for %s\n", provider.Source, provider.Version, platform)
		}
	}
	return nil
}
