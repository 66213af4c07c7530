package sqlite

import (
	"context"
	"os"
)

// CopyTo writes a copy of the records, as of one instant, to a file that is
// not there yet. Readers and writers go on meanwhile.
func (s *Store) CopyTo(ctx context.Context, path string) error {
	_, err := s.reader.ExecContext(ctx, "VACUUM INTO ?", path)
	if err == nil {
		err = os.Chmod(path, 0o600)
	}
	return s.explain("copy the records to "+path, err)
}
