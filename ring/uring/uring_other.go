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
func Probe() error {
	return fmt.Errorf("%w: it takes Linux 6.1 or later, this is %s", ErrUnavailable, runtime.GOOS)
}
