package causal

import (
	"cmp"
	"fmt"
	"time"
)

// Limits names every bound of the protocol. Zero fields of a Limits stand for
// the defaults of DefaultLimits.
type Limits struct {
	KeyBytes      int // of one key
	ValueBytes    int // of one value
	ContextBytes  int // of a context's own writes
	BatchKeys     int // keys of one ReadMany
	BatchBytes    int // keys and values of one ReadMany's reply
	OwnWrites     int // a session's writes in flight
	Branches      int // signed vectors that a join carries
	PendingBytes  int // the I-cache, all origins together
	Loads         int // loads under way at one server
	Waiters       int // keys of reads that wait for loads; writes that wait for an acknowledgement
	Remembered    int // last writes kept for retries
	FlushesAtOnce int // flushes under way at one home
	RingBatch     int // bytes of one ring message, at least one entry
	// ClockSkew is how far a stamp may be ahead of the wall clock.
	ClockSkew time.Duration
	// LoadTimeout is how long a miss may take.
	LoadTimeout time.Duration
	// TTL is the longest time to live.
	TTL time.Duration
}

// MaxReplicas bounds the number of servers in a ring.
const MaxReplicas = 64

// DefaultLimits are the limits that the daemon and the client start from.
var DefaultLimits = Limits{
	KeyBytes:      1 << 10,
	ValueBytes:    1 << 20,
	ContextBytes:  4 << 20,
	BatchKeys:     256,
	BatchBytes:    4 << 20,
	OwnWrites:     64,
	Branches:      16,
	PendingBytes:  64 << 20,
	Loads:         4096,
	Waiters:       16384,
	Remembered:    65536,
	FlushesAtOnce: 256,
	RingBatch:     256 << 10,
	ClockSkew:     time.Minute,
	LoadTimeout:   2 * time.Second,
	TTL:           10 * 365 * 24 * time.Hour,
}

// limit is a field that counts something, by its name.
type limit struct {
	name  string
	field *int
}

func (l *Limits) counts() []limit {
	return []limit{
		{"KeyBytes", &l.KeyBytes}, {"ValueBytes", &l.ValueBytes}, {"ContextBytes", &l.ContextBytes},
		{"BatchKeys", &l.BatchKeys}, {"BatchBytes", &l.BatchBytes}, {"OwnWrites", &l.OwnWrites},
		{"Branches", &l.Branches}, {"PendingBytes", &l.PendingBytes}, {"Loads", &l.Loads},
		{"Waiters", &l.Waiters}, {"Remembered", &l.Remembered}, {"FlushesAtOnce", &l.FlushesAtOnce},
		{"RingBatch", &l.RingBatch},
	}
}

// check refuses negative limits.
func (l *Limits) check() error {
	for _, c := range l.counts() {
		if *c.field < 0 {
			return fmt.Errorf("%w: limit %s is %d", ErrConfig, c.name, *c.field)
		}
	}
	if l.ClockSkew < 0 || l.LoadTimeout < 0 || l.TTL < 0 {
		return fmt.Errorf("%w: negative time among the limits", ErrConfig)
	}
	return nil
}

// fill replaces zero fields by the defaults.
func (l Limits) fill() Limits {
	d := DefaultLimits
	defaults := d.counts()
	for i, c := range l.counts() {
		*c.field = cmp.Or(*c.field, *defaults[i].field)
	}
	l.ClockSkew = cmp.Or(l.ClockSkew, d.ClockSkew)
	l.LoadTimeout = cmp.Or(l.LoadTimeout, d.LoadTimeout)
	l.TTL = cmp.Or(l.TTL, d.TTL)
	return l
}
