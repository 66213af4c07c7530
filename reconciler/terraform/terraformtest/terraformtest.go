// Package terraformtest gets tests their terraform.
package terraformtest

import (
	"context"
	"os"
	"path/filepath"

	"hangar/reconciler/terraform"
)

// OnPath puts terraform on PATH where it is not there yet: the pinned one,
// installed once in the user's cache folder. Where that cannot be had, PATH
// stays as it is, and tests find none.
func OnPath() {
	cache, err := os.UserCacheDir()
	if err != nil {
		return
	}
	found, err := terraform.Find(context.Background(), terraform.FindOptions{Dir: filepath.Join(cache, "hangar-tests")})
	if err != nil {
		return
	}
	os.Setenv("PATH", filepath.Dir(found.Path)+string(os.PathListSeparator)+os.Getenv("PATH"))
}
