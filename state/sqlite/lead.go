package sqlite

import (
	"context"
	"time"

	"hangar/state"
)

// leadOf is how many of a pool's last servers tell how long the next one takes.
const leadOf = 20

// Leads returns, by pool, how long its last servers took from the decision to
// make them until they ran: the median of 20 at most. Servers whose device was
// found, not made, do not count.
func (s *Store) Leads(ctx context.Context) (leads map[string]state.Lead, err error) {
	err = s.read(ctx, "read how long servers took", func(t tx) error {
		leads = make(map[string]state.Lead)
		spans := make(map[string][]time.Duration) // by pool, the shortest first
		_, err := all(t, func(r row) (pool string, err error) {
			var us int64
			err = r.Scan(&pool, &us)
			spans[pool] = append(spans[pool], time.Duration(us)*time.Microsecond)
			return pool, err
		}, `SELECT pool, took FROM (
				SELECT pool, started - created AS took, row_number() OVER (PARTITION BY pool ORDER BY started DESC) AS nth
				FROM servers WHERE began > 0 AND started > 0)
			WHERE nth <= ? ORDER BY pool, took`, leadOf)
		for pool, took := range spans {
			leads[pool] = state.Lead{Median: state.Seconds(took[(len(took)-1)/2]), Of: len(took)}
		}
		return err
	})
	return leads, err
}
