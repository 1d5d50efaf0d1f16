package causal

import "time"

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
	Waiters       int // requests that wait for loads, or for an acknowledgement
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

// fill replaces zero fields by the defaults.
func (l Limits) fill() Limits {
	d := DefaultLimits
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.KeyBytes, d.KeyBytes}, {&l.ValueBytes, d.ValueBytes}, {&l.ContextBytes, d.ContextBytes},
		{&l.BatchKeys, d.BatchKeys}, {&l.BatchBytes, d.BatchBytes}, {&l.OwnWrites, d.OwnWrites},
		{&l.Branches, d.Branches}, {&l.PendingBytes, d.PendingBytes}, {&l.Loads, d.Loads},
		{&l.Waiters, d.Waiters}, {&l.Remembered, d.Remembered}, {&l.FlushesAtOnce, d.FlushesAtOnce},
		{&l.RingBatch, d.RingBatch},
	} {
		setDefault(f.field, f.value)
	}
	setDefault(&l.ClockSkew, d.ClockSkew)
	setDefault(&l.LoadTimeout, d.LoadTimeout)
	setDefault(&l.TTL, d.TTL)
	return l
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
