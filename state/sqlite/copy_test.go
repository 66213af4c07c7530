package sqlite

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCopyTo(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	from := filepath.Join(dir, "database.sqlite")
	s, err := Open(ctx, from)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id, err := s.Instance(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	reader, err := OpenReadOnly(ctx, from) // beside the one that writes
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	to := filepath.Join(dir, "copy.sqlite")
	if err := reader.CopyTo(ctx, to); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v", info, err)
	}
	copied, err := Open(ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if got, err := copied.Instance(ctx, ""); err != nil || got != id {
		t.Errorf("instance of the copy = %q, %v; want %q", got, err, id)
	}
}
