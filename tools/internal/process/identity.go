package process

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

// Identity names one process for good: no other process, before or after it, has
// the same one.
type Identity struct {
	PID     int    `json:"pid"`
	Started Ticks  `json:"started_ticks"` // since the machine's start
	Boot    string `json:"boot"`          // of the machine
}

// bootID is drawn by the kernel when the machine starts.
var bootID = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text)), err
})

// Identify returns the identity of the process that has this ID now.
func Identify(pid int) (Identity, error) {
	boot, err := bootID()
	if err != nil {
		return Identity{}, err
	}
	s, err := readStat(pid)
	if err == nil && s.zombie {
		err = fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	if err != nil {
		return Identity{}, err
	}
	return Identity{PID: pid, Started: s.started, Boot: boot}, nil
}

// stat returns the process's state, or ErrGone if its ID is another one's now.
func (id Identity) stat() (stat, error) {
	now, err := Identify(id.PID)
	if err != nil {
		return stat{}, err
	}
	if now != id {
		return stat{}, fmt.Errorf("process %d: %w, and another one has its ID", id.PID, ErrGone)
	}
	return readStat(id.PID)
}

// Runs reports whether the process has not ended.
func (id Identity) Runs() bool {
	_, err := id.stat()
	return err == nil
}

// Signal sends a signal to this process and to no other: ErrGone says that it was
// too late.
func (id Identity) Signal(signal os.Signal) error {
	// The handle is taken first and holds on to whoever has the ID then (a pidfd, from
	// Linux 5.4 on); who that is, is looked at second.
	p, err := os.FindProcess(id.PID)
	if err != nil {
		return err
	}
	defer func() { _ = p.Release() }()
	if _, err := id.stat(); err != nil {
		return err
	}
	if err = p.Signal(signal); errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("process %d: %w", id.PID, ErrGone)
	}
	return err
}
