package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"hangar/reconciler/api"
	"hangar/reconciler/terraform"
)

type versionCommand struct{ printing }

func (versionCommand) Help() string {
	return "Terraform is the one that hangar serve would take; none is installed for this look. The providers are those in DRONE_TERRAFORM_MIRROR."
}

// versions is what a program is made of.
type versions struct {
	api.Version
	Terraform string              `json:"terraform"` // product, version and path; empty: none is found
	Providers []terraform.Offered `json:"providers"` // in the mirror
}

var errNoInstall = errors.New("none is installed for this look")

func (c versionCommand) Run(p *program) error {
	cfg, err := parseSettings(p.environ, func(name string) bool {
		return name == "DRONE_DATA" || name == "DRONE_TERRAFORM_BINARY" || name == "DRONE_TERRAFORM_VERSION" || name == "DRONE_TERRAFORM_MIRROR"
	})
	if err != nil {
		return err
	}
	v := versions{Version: api.Version{Source: source, Version: Version, Commit: Commit}, Providers: []terraform.Offered{}}
	binary, err := terraform.Find(p.ctx, terraform.FindOptions{
		Binary: cfg.TerraformBinary, Version: cfg.TerraformVersion, Dir: filepath.Join(cfg.Data, "terraform"),
		Install: func(context.Context, string, string) (string, error) { return "", errNoInstall },
	})
	switch {
	case err == nil:
		v.Terraform = fmt.Sprintf("%s %s at %s", binary.Product, binary.Version, binary.Path)
	case !errors.Is(err, errNoInstall):
		return err
	}
	if cfg.TerraformMirror != "" {
		if v.Providers, err = terraform.InMirror(cfg.TerraformMirror); err != nil {
			return err
		}
	}
	return c.print(p.stdout, v, func(w io.Writer) {
		fmt.Fprintf(w, "hangar %s (commit %s)\n", v.Version.Version, v.Commit)
		if v.Terraform == "" {
			fmt.Fprintf(w, "no terraform: hangar serve installs %s\n", cfg.TerraformVersion)
		} else {
			fmt.Fprintln(w, v.Terraform)
		}
		for _, provider := range v.Providers {
			fmt.Fprintf(w, "%s %s for %s\n", provider.Source, provider.Version, provider.Platform)
		}
	})
}
