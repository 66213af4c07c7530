package schematest

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"hangar/reconciler/simulator/plugin"
)

//go:embed schemas
var schemas embed.FS

// settingsFile lies beside the provider, and tells it what it is.
const settingsFile = "schematest.json"

type settings struct {
	Schema  string // name of its file
	Address string // of the provider
	Cloud   string // URL
}

// Mirror lays out under dir an unpacked provider mirror that holds this program
// as every provider whose schema there is, with the cloud behind it. The program
// must call Serve when Is says so.
func (c *Cloud) Mirror(dir string) error {
	files, err := fs.ReadDir(schemas, "schemas")
	if err != nil {
		return err
	}
	for _, f := range files {
		name, version, _ := strings.Cut(strings.TrimSuffix(f.Name(), ".json"), "-")
		text, err := schemas.ReadFile("schemas/" + f.Name())
		if err != nil {
			return err
		}
		var document struct {
			Providers map[string]json.RawMessage `json:"provider_schemas"`
		}
		if err := json.Unmarshal(text, &document); err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		for _, address := range slices.Sorted(maps.Keys(document.Providers)) {
			if err := c.place(dir, name, version, settings{f.Name(), address, c.server.URL}); err != nil {
				return fmt.Errorf("%s: %w", f.Name(), err)
			}
		}
	}
	return nil
}

func (c *Cloud) place(dir, name, version string, s settings) error {
	folder := filepath.Join(dir, filepath.FromSlash(s.Address), version, runtime.GOOS+"_"+runtime.GOARCH)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program := filepath.Join(folder, "terraform-provider-"+name+"_v"+version)
	if os.Link(self, program) != nil { // another file system
		text, err := os.ReadFile(self)
		if err != nil {
			return err
		}
		if err := os.WriteFile(program, text, 0o700); err != nil {
			return err
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, settingsFile), text, 0o600)
}

// Is says whether this program was started as a provider of Mirror's.
func Is() bool {
	path, err := beside()
	if err != nil || !strings.HasPrefix(filepath.Base(os.Args[0]), "terraform-provider-") {
		return false
	}
	_, err = os.Stat(path)
	return err == nil
}

// Serve serves the provider to the terraform that started this process, until it
// is done.
func Serve() error {
	path, err := beside()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var s settings
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	document, err := schemas.ReadFile("schemas/" + s.Schema)
	if err != nil {
		return err
	}
	parsed, err := plugin.ParseSchemas(document, s.Address)
	if err != nil {
		return err
	}
	// What a provider requires may be in its environment, and is then optional, as
	// terraform-plugin-sdk has it.
	for _, a := range parsed.Provider.Block.Attributes {
		a.Required, a.Optional = false, true
	}
	return tf6server.Serve(s.Address, func() tfprotov6.ProviderServer { return plugin.New(parsed, &provider{parsed, s.Cloud}) })
}

func beside() (string, error) {
	self, err := os.Executable()
	return filepath.Join(filepath.Dir(self), settingsFile), err
}
