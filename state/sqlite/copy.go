package sqlite

import (
	"context"
	"os"
)

// CopyTo writes a copy of the records, as of one instant, to a file that is
// not there yet. Readers and writers go on meanwhile.
func (s *Store) CopyTo(ctx context.Context, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		file.Close()
		_, err = s.reader.ExecContext(ctx, "VACUUM INTO ?", path) // an empty file will do
	}
	return s.explain("copy the records to "+path, err)
}
