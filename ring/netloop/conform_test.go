package netloop

import (
	"testing"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
)

func TestConformance(t *testing.T) {
	looptest.Run(t, func(opts ring.Options) ring.Loop { return New(opts) })
}
