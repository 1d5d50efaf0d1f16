package causal

import (
	"cmp"
	"math"
	"strconv"
	"time"
)

// Time is a hybrid logical time: nanoseconds since the Unix epoch, taken from
// the wall clock and pushed ahead by one where causality asks for it. It never
// goes back.
type Time uint64

// TimeOf returns the wall clock's reading as a Time.
func TimeOf(t time.Time) Time { return Time(max(0, t.UnixNano())) }

// Add returns t moved by d, but not below zero nor above the last time there is.
func (t Time) Add(d time.Duration) Time {
	switch {
	case d < 0 && Time(-d) > t:
		return 0
	case d > 0 && t > math.MaxUint64-Time(d):
		return math.MaxUint64
	}
	return t + Time(d)
}

// Sub returns t-u, at most the longest duration there is.
func (t Time) Sub(u Time) time.Duration {
	if t < u {
		return -u.Sub(t)
	}
	return time.Duration(min(t-u, math.MaxInt64))
}

// Stamp places a version in the conflict order: one total order on all versions
// that extends causality. Of two versions of a key the one with the higher stamp
// wins, everywhere. The zero Stamp is below every version's: it stands for
// "absent".
type Stamp struct {
	Time   Time
	Origin ReplicaID
}

// ForeignStamp is the stamp of a plain string that another program had put into
// the database before any cache knew the key: above absent, below every write.
var ForeignStamp = Stamp{Time: 1}

// Compare orders stamps by time, then by origin.
func (s Stamp) Compare(t Stamp) int {
	if c := cmp.Compare(s.Time, t.Time); c != 0 {
		return c
	}
	return cmp.Compare(s.Origin, t.Origin)
}

// Less reports whether s is before t in the conflict order.
func (s Stamp) Less(t Stamp) bool { return s.Compare(t) < 0 }

// IsZero reports whether s is the stamp of "absent".
func (s Stamp) IsZero() bool { return s == Stamp{} }

func (s Stamp) String() string {
	return strconv.FormatUint(uint64(s.Time), 10) + "@" + strconv.Itoa(int(s.Origin))
}
