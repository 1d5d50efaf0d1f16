package rig

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"causalmesh/tools/internal/process"
)

// Usage is what the operating system says that a process uses.
type Usage struct {
	RSSBytes     int64 // resident now
	PeakRSSBytes int64 // since the process started
	CPU          time.Duration
}

// Usage reads what the node uses from /proc, so it costs the node nothing.
func (n *Node) Usage() (Usage, error) {
	var u Usage
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	if err != nil {
		return u, err
	}
	if u.RSSBytes, err = statusField(status, "VmRSS:"); err != nil {
		return u, err
	}
	if u.PeakRSSBytes, err = statusField(status, "VmHWM:"); err != nil {
		return u, err
	}
	u.CPU, err = process.CPUTime(n.identity)
	return u, err
}

// statusField returns a size in /proc/pid/status, which has "name: number kB" lines.
func statusField(status []byte, name string) (int64, error) {
	for line := range bytes.Lines(status) {
		rest, found := bytes.CutPrefix(line, []byte(name))
		if !found {
			continue
		}
		number, unit, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
		n, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil || string(unit) != "kB" {
			return 0, fmt.Errorf("line %q of /proc/pid/status: want a number of kB", line)
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("/proc/pid/status has no %s (a process that has ended has no memory)", name)
}
