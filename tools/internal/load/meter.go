package load

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/tools/internal/process"
)

// meter measures the CPU time of server processes, and of this one, over a window. It
// is used by one goroutine.
type meter struct {
	servers []process.Identity
	before  usage
	began   time.Time
	// What was measured.
	used   usage
	window time.Duration
}

// usage is CPU time, of the user and the system.
type usage struct{ servers, client time.Duration }

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

func (m *meter) read() (u usage, err error) {
	for _, id := range m.servers {
		used, err := process.CPUTime(id)
		if err != nil {
			return u, fmt.Errorf("CPU time of a server: %w: the result would not be that of the load", err)
		}
		u.servers += used
	}
	var own unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &own); err != nil {
		return u, fmt.Errorf("own CPU time: %w", err)
	}
	u.client = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	return u, nil
}

func (m *meter) begin() (err error) {
	m.began = time.Now()
	m.before, err = m.read()
	return err
}

func (m *meter) end() error {
	after, err := m.read()
	m.used = usage{after.servers - m.before.servers, after.client - m.before.client}
	m.window = time.Since(m.began)
	return err
}

// perRequest returns microseconds of CPU time per request at a rate per second. The
// servers' is nil if there are none. The meter's window is not exactly the load's, so
// rates are compared and not sums.
func (m *meter) perRequest(rate float64) (servers *float64, client float64) {
	if rate == 0 || m.window <= 0 {
		return nil, 0
	}
	per := func(used time.Duration) float64 { return used.Seconds() / m.window.Seconds() / rate * 1e6 }
	if len(m.servers) > 0 {
		us := per(m.used.servers)
		servers = &us
	}
	return servers, per(m.used.client)
}
