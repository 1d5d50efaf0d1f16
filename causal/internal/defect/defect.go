// Package defect names the deliberately broken variants of the protocol.
//
// Each leaves out one rule. The simulator turns them on, one at a time, to show
// that its checker would notice: a canary. Only packages below causal can name
// them, so no daemon can run with one.
package defect

import "math/bits"

// Set is a set of defects; zero is the protocol as it should be.
type Set uint64

// The defects. The comment says what is left out.
const (
	// UnclosedStability: S is all of E: servers do not wait for what a version
	// depends on.
	UnclosedStability Set = 1 << iota
	// OwnWriteUnasked: a session answers reads of its own unstable writes itself.
	OwnWriteUnasked
	// MergedClockOrder: concurrent versions are ordered by comparing merged clocks
	// and not by their own stamps.
	MergedClockOrder
	// IntegrateWhenAsked: versions leave the I-cache only when a client's context
	// asks for them.
	IntegrateWhenAsked
	// AssumePreloaded: what is not cached, or cannot be loaded, is called absent.
	AssumePreloaded
	// NoResync: after a lost link the sender goes on where it was, not where the
	// receiver is.
	NoResync
	// HoardOwnWrites: a session never drops its own writes from its context.
	HoardOwnWrites
	// StaleValue: a read takes the value before it adopts the context, but replies
	// with the newer S.
	StaleValue
	// ZeroClock: stamps do not follow the wall clock.
	ZeroClock
	// TimeOnIntegration: a server learns times only when it integrates a version,
	// and contexts carry none.
	TimeOnIntegration
	// ForgetSent: a sender drops a message once it is sent, and not when E covers it.
	ForgetSent
	// ArrivedOtherwise: a version that came along with another one counts as
	// arrived by its own traversal (carrying variant).
	ArrivedOtherwise
	// CarryLatest: a write carries only the latest of its session's own writes of
	// each origin, as dependencies do (carrying variant). The latest per key would
	// be enough: it beats the earlier ones that it stands for.
	CarryLatest
	// InstallUnadopted: a miss reply's version is installed without learning the home's E.
	InstallUnadopted
	// EvictUnflushed: eviction does not look at what the homes have flushed.
	EvictUnflushed
	// EvictBusy: eviction takes keys with a load under way.
	EvictBusy
	// ForgetEvicted: a late, lower version counts as the newest after eviction.
	ForgetEvicted
	// AnswerByStamp: a version that is incomplete stays where the home's answer is
	// lower, though what beat it may be a tombstone that is gone by now.
	AnswerByStamp
	// MissUnlearned: a home does not learn what the asker of a miss knew.
	MissUnlearned
	// PublishEarly: S is published before the values that it covers.
	PublishEarly
	// AbsorbLater: a direct reader absorbs an S that it loads after the value.
	AbsorbLater
	// UncheckedDot: a direct reader does not check that S covers what it read.
	UncheckedDot
	// PiecemealReadMany: the values of a ReadMany are taken as they come, not all
	// in one step.
	PiecemealReadMany

	end
)

// Count is the number of defects.
const Count = 23

// All lists the defects one by one.
func All() []Set {
	sets := make([]Set, 0, Count)
	for d := Set(1); d < end; d <<= 1 {
		sets = append(sets, d)
	}
	return sets
}

var names = [Count]string{
	"unclosed-stability", "own-write-unasked", "merged-clock-order", "integrate-when-asked",
	"assume-preloaded", "no-resync", "hoard-own-writes", "stale-value", "zero-clock",
	"time-on-integration", "forget-sent", "arrived-otherwise", "carry-latest",
	"install-unadopted", "evict-unflushed", "evict-busy", "forget-evicted",
	"answer-by-stamp", "miss-unlearned", "publish-early", "absorb-later", "unchecked-dot", "piecemeal-read-many",
}

// Has reports whether d is in the set.
func (s Set) Has(d Set) bool { return s&d != 0 }

// String returns the name of a single defect, "none" for the empty set.
func (s Set) String() string {
	if s == 0 {
		return "none"
	}
	return names[bits.TrailingZeros64(uint64(s))]
}

// Parse returns the defect of that name.
func Parse(name string) (Set, bool) {
	for i, n := range names {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, name == "none"
}
