package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what the figures were measured on.
type Machine struct {
	Cores   int    `json:"cores"`
	CPU     string `json:"cpu"`
	Virtual string `json:"virtual,omitempty"` // what the machine is a guest of
	Memory  uint64 `json:"memory_bytes"`
	System  string `json:"system"`
	Kernel  string `json:"kernel"`
	Go      string `json:"go"`
	// Busy is the share of all processors that was in use before anything was started.
	Busy float64 `json:"busy_before"`
}

// busyOver is how long the machine is watched before anything is started.
const busyOver = time.Second

func describeMachine(ctx context.Context, watched time.Duration) (Machine, error) {
	m := Machine{
		Cores: runtime.NumCPU(), Go: strings.TrimPrefix(runtime.Version(), "go"),
		CPU: field("/proc/cpuinfo", "model name", ":"), System: strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`),
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return m, err
	}
	m.Kernel = unix.ByteSliceToString(u.Release[:])
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return m, err
	}
	m.Memory = uint64(info.Totalram) * uint64(info.Unit)
	// It says "none", and fails, on a machine that is no guest.
	if text, err := exec.CommandContext(ctx, "systemd-detect-virt", "--vm").Output(); err == nil {
		m.Virtual = strings.TrimSpace(string(text))
	} else if strings.Contains(field("/proc/cpuinfo", "flags", ":"), "hypervisor") {
		m.Virtual = "a hypervisor"
	}
	var err error
	m.Busy, err = busy(ctx, watched)
	return m, err
}

// field finds the first line of a file that begins with a name; empty if there is none.
func field(path, name, separator string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if before, after, found := strings.Cut(line, separator); found && strings.TrimSpace(before) == name {
			return strings.TrimSpace(after)
		}
	}
	return ""
}

// busy is the share of all processors that was in use over some time.
func busy(ctx context.Context, over time.Duration) (float64, error) {
	idle, all, err := processorTime()
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, over); err != nil {
		return 0, err
	}
	idleNow, allNow, err := processorTime()
	if err != nil || allNow == all {
		return 0, err
	}
	return 1 - (idleNow-idle)/(allNow-all), nil
}

// processorTime reads how long all processors have been idle, and in all: the first
// line of /proc/stat, in ticks; see proc_stat(5).
func processorTime() (idle, all float64, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	fields := strings.Fields(string(line))
	const (
		first, idleAt, waitAt, last = 1, 4, 5, 8 // user to steal; guests are in user
	)
	if len(fields) <= last || fields[0] != "cpu" {
		return 0, 0, fmt.Errorf("%w: /proc/stat begins with %q", ErrServer, line)
	}
	for i := first; i <= last; i++ {
		ticks, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return 0, 0, fmt.Errorf("%w: /proc/stat: %w", ErrServer, err)
		}
		all += ticks
		if i == idleAt || i == waitAt {
			idle += ticks
		}
	}
	return idle, all, nil
}
