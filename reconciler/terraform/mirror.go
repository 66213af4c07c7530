package terraform

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hashicorp/go-version"

	"hangar/tfmodules"
)

var platform = runtime.GOOS + "_" + runtime.GOARCH

// mirrored lists what the mirror has of a provider for this platform: the
// files that init could choose, each with its size and time, so that the list
// changes when one of them does. None is an error that says what to do.
// The two layouts are those of
// https://developer.hashicorp.com/terraform/cli/config/config-file#filesystem_mirror.
func (r *Runner) mirrored(p tfmodules.Provider) ([]string, error) {
	constraint, err := version.NewConstraint(p.Version)
	if err != nil {
		return nil, fmt.Errorf("provider %s: version %q: %w", p.Source, p.Version, err)
	}
	dir := filepath.Join(r.Mirror, filepath.FromSlash(p.Source))
	packed, err := filepath.Glob(filepath.Join(dir, "terraform-provider-*_"+platform+".zip"))
	if err != nil {
		return nil, err
	}
	unpacked, err := filepath.Glob(filepath.Join(dir, "*", platform, "*"))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, path := range append(packed, unpacked...) {
		v, err := version.NewVersion(versionIn(path))
		if err != nil || !constraint.Check(v) {
			continue
		}
		if info, err := os.Stat(path); err == nil {
			found = append(found, fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano()))
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the mirror %s has no %s %s for %s: put it there with 'terraform providers mirror' or by hand, as %s, or unset DRONE_TERRAFORM_MIRROR to download it",
			r.Mirror, p.Source, p.Version, platform, filepath.Join(p.Source, "VERSION", platform))
	}
	return found, nil
}

// versionIn reads a provider's version from its path in a mirror:
// terraform-provider-NAME_VERSION_OS_ARCH.zip, or VERSION/OS_ARCH/FILE.
func versionIn(path string) string {
	if name, ok := strings.CutSuffix(filepath.Base(path), "_"+platform+".zip"); ok {
		return name[strings.LastIndex(name, "_")+1:]
	}
	return filepath.Base(filepath.Dir(filepath.Dir(path)))
}
