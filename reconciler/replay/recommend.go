package replay

import (
	"context"
	"time"

	"hangar/reconciler/scale"
	"hangar/state"
)

// Advice is what a pool would need for a goal.
type Advice struct {
	Pool   string  `json:"pool"` // that with the most stages
	Min    int     `json:"min"`
	Max    int     `json:"max"`
	Buffer int     `json:"buffer"`
	Result *Result `json:"result,omitempty"` // nil: nothing was found
}

// Recommend looks for the minimum, maximum and buffer of the pool with the most
// stages with which 95% of all stages wait for no longer than goal, at the least
// billed hours. The maximum is as many machines as were
// ever there at once; a maximum of all pools together goes on counting.
func Recommend(ctx context.Context, trace []Stage, setup Setup, goal time.Duration) (*Advice, error) {
	counts := map[string]int{}
	roster := setup.Pools.At(trace[0].At)
	busiest := roster.Pools[0]
	for _, s := range trace {
		stage := s.stage(0)
		for _, p := range roster.Pools {
			if scale.Matches(stage, p) {
				if counts[p.Name]++; counts[p.Name] > counts[busiest.Name] {
					busiest = p
				}
				break
			}
		}
	}
	try := func(min, max, buffer int, goal time.Duration, billed float64) (*Result, error) {
		s := setup
		s.Pools = Changed{setup.Pools, func(p *state.Pool) {
			if p.Name == busiest.Name {
				p.Min, p.Max, p.Buffer, p.LearnBuffer, p.CreateBudget = min, max, buffer, false, 3*max
			}
		}}
		return run(ctx, trace, s, goal, billed)
	}
	unbounded, err := try(0, 1000, 0, 0, 0)
	if err != nil {
		return nil, err
	}
	most, billed := unbounded.Most, 0.0
	advice := &Advice{Pool: busiest.Name}
	for least := 0; ; least = next(least, most) {
		for _, machines := range []int{0, 1, 4, 16} {
			if machines > most {
				break
			}
			r, err := try(least, max(most, least+machines), machines*busiest.Concurrency, goal, billed)
			if err != nil {
				return nil, err
			}
			if r != nil && r.Stuck == 0 && r.P95 <= goal.Seconds() && (billed == 0 || r.Billed < billed) {
				billed = r.Billed
				advice.Min, advice.Max, advice.Buffer, advice.Result = least, max(1, r.Most), machines*busiest.Concurrency, r
				break // more only costs more
			}
		}
		if least >= most || billed > 0 && float64(least)*unbounded.To.Sub(unbounded.From).Hours() >= billed {
			return advice, nil
		}
	}
}

// next is the next minimum to try: about twelve up to most.
func next(least, most int) int { return min(most, least+max(1, most/12)) }
