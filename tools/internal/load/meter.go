package load

import (
	"fmt"
	"time"

	"causalmesh/tools/internal/process"
)

// meter measures the CPU time of server processes over a window. It is used by one
// goroutine.
type meter struct {
	servers []process.Identity
	before  time.Duration
	began   time.Time
	// What was measured.
	used, window time.Duration
}

func newMeter(pids []int) (*meter, error) {
	m := &meter{}
	for _, pid := range pids {
		id, err := process.Identify(pid)
		if err != nil {
			return nil, fmt.Errorf("%w: --server-pid %d: %w; give the process of a server on this machine", ErrUsage, pid, err)
		}
		m.servers = append(m.servers, id)
	}
	return m, nil
}

func (m *meter) sum() (total time.Duration, err error) {
	for _, id := range m.servers {
		used, err := process.CPUTime(id)
		if err != nil {
			return 0, fmt.Errorf("CPU time of a server: %w: the result would not be that of the load", err)
		}
		total += used
	}
	return total, nil
}

func (m *meter) begin() (err error) {
	m.began = time.Now()
	m.before, err = m.sum()
	return err
}

func (m *meter) end() error {
	after, err := m.sum()
	m.used, m.window = after-m.before, time.Since(m.began)
	return err
}

// perOperation returns microseconds of CPU time per operation at a throughput, nil
// if nothing was measured. The meter's window is not exactly the load's, so rates
// are compared and not sums.
func (m *meter) perOperation(throughput float64) *float64 {
	if len(m.servers) == 0 || throughput == 0 || m.window <= 0 {
		return nil
	}
	us := m.used.Seconds() / m.window.Seconds() / throughput * 1e6
	return &us
}
