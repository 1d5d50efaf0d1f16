package looptest

import (
	"cmp"
	"testing"
	"time"

	"causalmesh/ring"
)

// suite holds the tests; each makes its own loops.
type suite struct {
	make func(ring.Options) ring.Loop
}

// serve runs a new loop with one listener until the test ends.
func (x suite) serve(t testing.TB, network string, opts ring.Options, s *Handler) (address string) {
	t.Helper()
	s.Loop = x.make(opts)
	return Serve(t, network, s)
}

// Unhurried puts time-outs that are never reached in place of the defaults: a test that is
// not about them must not depend on how fast the machine is.
func Unhurried(opts ring.Options) ring.Options {
	opts.StallTimeout = cmp.Or(opts.StallTimeout, time.Hour)
	opts.LingerTimeout = cmp.Or(opts.LingerTimeout, time.Hour)
	return opts
}

type named struct {
	name string
	test func(*testing.T)
}

// Run holds an implementation of ring.Loop to what the interface promises.
func Run(t *testing.T, make func(ring.Options) ring.Loop) {
	x := suite{func(opts ring.Options) ring.Loop { return make(Unhurried(opts)) }}
	tests := append(x.unraced(), []named{
		{"Echo", x.testEcho},
		{"FramesInPieces", x.testFramesInPieces},
		{"ManyConnections", x.testManyConnections},
		{"ConnectStorm", x.testConnectStorm},
		{"WakeFromManyGoroutines", x.testWakeFromManyGoroutines},
		{"TurnWithin", x.testTurnWithin},
		{"Poller", x.testPoller},
		{"PollerFallsAsleep", x.testPollerFallsAsleep},
		{"SendFiles", x.testSendFiles},
		{"SendFilesOverTCP", x.testSendFilesOverTCP},
		{"BusyConnectionDoesNotStarveOthers", x.testBusyConnectionDoesNotStarveOthers},
		{"HalfClose", x.testHalfClose},
		{"CloseFlushes", x.testCloseFlushes},
		{"LingerEnds", x.testLingerEnds},
		{"NothingWaitsForATick", x.testNothingWaitsForATick},
		{"CallsAboutUnknownConnections", x.testCallsAboutUnknownConnections},
		{"StopFlushesWithinGrace", x.testStopFlushesWithinGrace},
		{"StopDoesNotWaitForStalled", x.testStopDoesNotWaitForStalled},
		{"StopBeforeRun", x.testStopBeforeRun},
		{"Dial", x.testDial},
		{"StopAnswersDials", x.testStopAnswersDials},
		{"ClientThatNeverReads", x.testClientThatNeverReads},
		{"BackPressureEnds", x.testBackPressureEnds},
		{"SlowReaderIsNotStalled", x.testSlowReaderIsNotStalled},
		{"MaxQueued", x.testMaxQueued},
		{"MaxUnused", x.testMaxUnused},
		{"MaxConns", x.testMaxConns},
		{"MaxConnsOfEachListener", x.testMaxConnsOfEachListener},
		{"HandlerRefuses", x.testHandlerRefuses},
		{"ListenUnix", x.testListenUnix},
		{"ListenErrors", x.testListenErrors},
		{"Deal", x.testDeal},
		{"DealToOthers", x.testDealToOthers},
		{"DealMaxConns", x.testDealMaxConns},
		{"DealErrors", x.testDealErrors},
		{"DealWhileEnding", x.testDealWhileEnding},
		{"DealToLoopThatNeverRuns", x.testDealToLoopThatNeverRuns},
	}...)
	for _, c := range tests {
		t.Run(c.name, c.test)
	}
}
