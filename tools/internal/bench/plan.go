package bench

import "time"

// valueBytes is the size of each value; keys have the 12 bytes of loadgen's.
const valueBytes = 8

// Plan says how long and how large everything is.
type Plan struct {
	Rounds  int       `json:"rounds"`
	Seconds float64   `json:"measured_s"` // of each run
	WarmUp  float64   `json:"warmup_s"`   // before it
	Idle    float64   `json:"idle_s"`     // how long idle servers are watched
	Keys    int       `json:"keys"`
	Pasts   []int     `json:"pasts"`      // operations that a session has behind it
	Own     []int     `json:"own_writes"` // that a session has in flight
	Rates   []float64 `json:"rates"`      // operations per second
	Entries int       `json:"entries"`    // memory is measured at, and up to twice as many
	Steps   int       `json:"entry_steps"`
	// Attached is how long clients in shared memory are watched that do nothing.
	Attached float64 `json:"attached_s"`
	Growth   Growing `json:"growth"`
	// hasty leaves out the waits that only figures need.
	hasty bool
}

// Growing says how long and how large it gets where costs are seen as work grows.
type Growing struct {
	Rounds  int     `json:"rounds"`
	Seconds float64 `json:"measured_s"`
	WarmUp  float64 `json:"warmup_s"`
	Keys    []int   `json:"keys"`
	Sizes   []int   `json:"value_bytes"`
	Pasts   []int   `json:"pasts"`
	Own     []int   `json:"own_writes"`
	Conns   []int   `json:"connections"`
}

// Full is what figures are made with.
func Full() Plan {
	return Plan{
		Rounds: 5, Seconds: 2, WarmUp: 0.5, Idle: 1, Keys: 100_000,
		Pasts: []int{1, 100, 10_000}, Own: []int{0, 8, 64},
		Rates: []float64{2000, 5000, 10_000, 20_000, 40_000, 80_000, 160_000}, Entries: 1_000_000, Steps: 10,
		Attached: 4,
		Growth: Growing{
			Rounds: 3, Seconds: 0.8, WarmUp: 0.2,
			Keys: []int{1000, 10_000, 100_000, 1_000_000, 10_000_000}, Sizes: []int{8, 128, 2048, 32 << 10, 256 << 10},
			Pasts: []int{1, 100, 10_000, 100_000}, Own: []int{0, 4, 16, 64}, Conns: []int{1, 8, 64, 256},
		},
	}
}

// Quick shows that everything works.
func Quick() Plan {
	return Plan{
		Rounds: 2, Seconds: 0.3, WarmUp: 0.1, Idle: 0.3, Keys: 10_000,
		Pasts: []int{1, 100, 1000}, Own: []int{0, 8, 64},
		Rates: []float64{1000, 10_000, 50_000}, Entries: 50_000, Steps: 5,
		Attached: 0.5,
		Growth: Growing{
			Rounds: 1, Seconds: 0.2, WarmUp: 0.05, Keys: []int{1000, 10_000, 100_000}, Sizes: []int{8, 4096},
			Pasts: []int{1, 1000}, Own: []int{0, 8}, Conns: []int{1, 16},
		},
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (p *Plan) duration() time.Duration { return seconds(p.Seconds) }
func (p *Plan) warmUp() time.Duration   { return seconds(p.WarmUp) }
func (p *Plan) idle() time.Duration     { return seconds(p.Idle) }

// wait is how long a wait is that only figures need.
func (p *Plan) wait(d time.Duration) time.Duration {
	if p.hasty {
		return 0
	}
	return d
}

// entries are the numbers of entries at which memory is measured: over a factor of two,
// so that a table that doubles is seen at its emptiest.
func (p *Plan) entries() []int {
	var all []int
	for step := 0; step <= p.Steps; step++ {
		all = append(all, p.Entries+p.Entries*step/p.Steps)
	}
	return all
}
