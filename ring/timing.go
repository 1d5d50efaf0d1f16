package ring

// Timing is how long requests took that no operation of the loop has brought or answered.
// The layout is an ABI to programs in the kernel.
type Timing struct {
	Connection ConnID
	Queue      uint64 // ns from ready to received; 0: not known
	Service    uint64 // ns from received to answered; 0: not known, and so is Queue
	Key        uint64 // hash of a key of theirs; 0: not known
	Kind       uint32
	Count      uint32
}
