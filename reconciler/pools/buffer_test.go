package pools

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A schedule may learn what the pool otherwise has fixed, and the reverse.
func TestBufferThatIsLearned(t *testing.T) {
	set := parse(t, `
pool "a" {
  buffer = "auto"
  schedule "nights" {
    cron     = "* 20-23,0-5 * * *"
    timezone = "UTC"
    buffer   = 0
  }
}
pool "b" {
  buffer = 3
  schedule "nights" {
    cron     = "* 20-23,0-5 * * *"
    timezone = "UTC"
    buffer   = "auto"
  }
}
`)
	for hour, want := range map[int]struct {
		learns bool
		buffer int
	}{12: {false, 3}, 21: {true, 0}} {
		pools := set.At(time.Date(2026, 3, 2, hour, 0, 0, 0, time.UTC)).Pools
		if a := pools[0]; a.LearnBuffer == want.learns || a.Buffer != 0 {
			t.Errorf("pool a at %d: learns %t, %d", hour, a.LearnBuffer, a.Buffer)
		}
		if b := pools[1]; b.LearnBuffer != want.learns || b.Buffer != want.buffer {
			t.Errorf("pool b at %d: learns %t, %d; want %+v", hour, b.LearnBuffer, b.Buffer, want)
		}
	}
}

func TestBuffersThatAreNone(t *testing.T) {
	_, err := Parse([]byte(`pool "a" {
  buffer = "some"
}
pool "b" {
  buffer = -1
  schedule "nights" {
    cron     = "* 1 * * *"
    timezone = "UTC"
    buffer   = 1.5
  }
}`), "pools.hcl", environment())
	wrong, ok := errors.AsType[Mistakes](err)
	if !ok || len(wrong) != 3 {
		t.Fatalf("%v", err)
	}
	for i, says := range []string{`pools.hcl:2,3: buffer = "some": want a number of builds`, `pools.hcl:5,3: buffer = "-1": want`, `pools.hcl:9,5: schedule "nights": buffer = "1.5": want`} {
		if !strings.HasPrefix(wrong[i], says) {
			t.Errorf("%q does not begin with %q", wrong[i], says)
		}
	}
}
