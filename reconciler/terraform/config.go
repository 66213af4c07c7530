package terraform

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// environment is all that the terraform of a module sees.
func (r *Runner) environment(module string) map[string]string {
	env := map[string]string{}
	maps.Copy(env, r.Env)
	maps.Copy(env, r.keys()[module])
	env["TF_CLI_CONFIG_FILE"] = r.configFile()
	env["CHECKPOINT_DISABLE"] = "1"
	return env
}

func (r *Runner) configFile() string { return filepath.Join(r.own(), "terraform.rc") }

// writeConfig writes the CLI configuration, so that nobody's own counts. With
// a mirror nothing is downloaded; without one, everything once.
func (r *Runner) writeConfig() error {
	if err := os.MkdirAll(r.own(), 0o700); err != nil {
		return err
	}
	config := "disable_checkpoint = true\n\n"
	if r.Mirror != "" {
		mirror, err := filepath.Abs(r.Mirror)
		if err != nil {
			return err
		}
		config += fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror)
	} else {
		cache := filepath.Join(r.own(), "cache")
		if err := os.MkdirAll(cache, 0o700); err != nil {
			return err
		}
		config += fmt.Sprintf("plugin_cache_dir = %q\n", cache)
	}
	return writeFile(r.configFile(), []byte(config))
}

// writeFile replaces a file whole, for its owner only. One that is already so
// is left alone.
func writeFile(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return os.Chmod(path, 0o600)
	}
	return renameio.WriteFile(path, content, 0o600, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
}
