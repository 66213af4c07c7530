package main

import (
	"log/slog"
	"testing"
	"time"
)

// Servers of packet that are billed by the hour stay to the end of a paid one, unless
// any of the settings says when they may leave.
func TestServersStayForWhatIsPaid(t *testing.T) {
	for _, tt := range []struct {
		set           []string
		billing, idle time.Duration
	}{
		{nil, time.Hour, 0},
		{[]string{"DRONE_PACKET_BILLING=monthly"}, 0, 10 * time.Minute},
		{[]string{"DRONE_POOL_IDLE=5m"}, 0, 5 * time.Minute},
		{[]string{"DRONE_POOL_MIN_AGE=0s"}, 0, 10 * time.Minute},
		{[]string{"DRONE_POOL_BILLING_PERIOD=0s"}, 0, 10 * time.Minute},
	} {
		environ := guide(tt.set...)
		c, err := parseConfig(environ)
		if err != nil {
			t.Fatal(err)
		}
		source, err := c.pools(environ, &agents{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if p := source.At(time.Now()).Pools[0]; p.BillingPeriod != tt.billing || p.Idle != tt.idle {
			t.Errorf("%v: billing %s, idle %s; want %s, %s", tt.set, p.BillingPeriod, p.Idle, tt.billing, tt.idle)
		}
	}
}
