//go:build !linux

package uring

import (
	"fmt"
	"runtime"

	"causalmesh/ring"
)

// Loop exists on Linux only.
type Loop struct{ ring.Loop }

// New fails with ErrUnavailable.
func New(ring.Options) (*Loop, error) { return nil, Probe() }

// Probe says whether this host can run the loop.
func Probe() error { return ProbeLoops(1) }

// ProbeLoops says whether it can run so many of them.
func ProbeLoops(int) error {
	return fmt.Errorf("%w: it takes Linux 6.1 or later, this is %s", ErrUnavailable, runtime.GOOS)
}
