//go:build linux

package uring

import (
	"testing"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
)

// maker makes loops for a test, and skips it where the kernel has none.
func maker(t testing.TB) func(ring.Options) ring.Loop {
	return func(opts ring.Options) ring.Loop { return newLoop(t, opts) }
}

func newLoop(t testing.TB, opts ring.Options) *Loop {
	t.Helper()
	l, err := New(looptest.Unhurried(opts))
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	return l
}

func TestConformance(t *testing.T) { looptest.Run(t, maker(t)) }
