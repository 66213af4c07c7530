package terraform

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/hc-install/product"
	"github.com/hashicorp/hc-install/releases"
)

// installRelease downloads terraform from HashiCorp's releases into dir;
// hc-install verifies the checksum and the checksums' signature.
func installRelease(ctx context.Context, wanted, dir string) (string, error) {
	v, err := version.NewVersion(wanted)
	if err != nil {
		return "", fmt.Errorf("DRONE_TERRAFORM_VERSION=%s: %w", wanted, err)
	}
	release := releases.ExactVersion{Product: product.Terraform, Version: v, InstallDir: dir}
	return release.Install(ctx)
}
