package terraform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// censusFolders are the folders in which censuses run, one each: MODULE-1,
// MODULE-2 and so on. One that is left is taken again, with what init made in
// it.
type censusFolders struct {
	mu    sync.Mutex
	taken map[string]string // module by folder
}

// take returns a free folder for a census of a module.
func (c *censusFolders) take(module string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken == nil {
		c.taken = map[string]string{}
	}
	for n := 1; ; n++ {
		folder := fmt.Sprintf("%s-%d", module, n)
		if _, busy := c.taken[folder]; !busy {
			c.taken[folder] = module
			return folder
		}
	}
}

func (c *censusFolders) leave(folder string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.taken, folder)
}

// modules are those that censuses are using.
func (c *censusFolders) modules() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var modules []string
	for _, module := range c.taken {
		modules = append(modules, module)
	}
	return modules
}

// keepCensuses removes the folders of censuses of modules that are not among
// those.
func (r *Runner) keepCensuses(modules []string) error {
	dir := filepath.Join(r.Dir, "census")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		dash := strings.LastIndex(e.Name(), "-")
		if dash < 0 || !slices.Contains(modules, e.Name()[:dash]) {
			path := filepath.Join(dir, e.Name())
			r.commands.Delete(path)
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}
