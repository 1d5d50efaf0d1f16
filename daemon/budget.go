package daemon

import (
	"runtime/debug"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// How max-memory, which bounds the process, is shared out.
//
// First comes what an idle node has: the pages of the program, its own structures, and
// the buffers of its loops. Of the rest, the core may fill cacheShare with versions:
// those in flight, on the Go heap, and the table, off it, with the list of what is to be
// flushed. The table holds a little more than is in it (pieces between its entries), at
// most tableSlack. What is left is the Go
// runtime's, as a soft limit: versions in flight, the garbage that waits for the next
// collection, the core's lists of what is to be flushed and remembered, and the
// connections' buffers. Near the limit it collects more often, which trades CPU time for
// memory and never fails an allocation.
//
// The shares are a compromise: with a larger one for versions the soft limit has to
// hold the process, at the cost of the collector; with a smaller one memory lies idle.
// TestMemoryStaysBelowTheLimit shows that they hold. What connections hold is bounded
// for each of them, not in sum, and is not in here.
const (
	idleBytes    = 15 << 20
	loopBytes    = 5 << 20 // for each loop
	cacheShare   = 65      // per cent of what is left
	tableSlack   = 8       // the 8th part of the table
	usedShare    = 92      // per cent of what is left: table and Go heap
	pendingShare = 8       // pending bytes are at most the 8th part of what is left
	// rememberedBytes is what one write that is remembered for retries costs, and
	// rememberedShare the part of max-memory that all of them may take.
	rememberedBytes = 320
	rememberedShare = 16
)

// limits returns the core's limits for these settings.
func (c *Config) limits() causal.Limits {
	l := causal.DefaultLimits
	l.KeyBytes, l.ValueBytes = int(c.KeyBytes), int(c.ValueBytes)
	l.BatchBytes = max(l.BatchBytes, l.KeyBytes+l.ValueBytes)
	l.PendingBytes = int(c.pendingBytes())
	if c.MaxMemory > 0 {
		l.Remembered = max(1, min(l.Remembered, int(c.MaxMemory)/rememberedShare/rememberedBytes))
	}
	return l
}

// requestBytes is the longest frame of a client: what a connection may make the node
// keep of a request that is not complete. Keys and values that are a little over
// their limits still get an answer that says so.
func (c *Config) requestBytes() int {
	const slack = 128 << 10
	l := c.limits()
	return min(wire.MaxFrameBytes, max(l.KeyBytes+l.ValueBytes, l.BatchKeys*(l.KeyBytes+8))+slack)
}

// leastPending is what the core demands: room for the largest version of every
// node.
func (c *Config) leastPending() Size {
	return Size(c.replicas()) * (c.KeyBytes + c.ValueBytes + Size((&causal.Version{}).Bytes()))
}

// pendingBytes is the setting, or what goes with max-memory.
func (c *Config) pendingBytes() Size {
	if c.PendingBytes > 0 {
		return c.PendingBytes
	}
	pending := Size(causal.DefaultLimits.PendingBytes)
	if c.MaxMemory > 0 {
		pending = min(pending, c.usableBytes()/pendingShare)
	}
	return max(pending, c.leastPending())
}

// cacheBytes is the core's share of max-memory, 0 for no bound.
func (c *Config) cacheBytes() Size { return c.usableBytes() / 100 * cacheShare }

// tableBytes is the room that the table is given, 0 for no bound. It is address space
// and not memory: where writes that may not be evicted fill all of the cache, the table
// has them in the end, with what is being loaded on top.
func (c *Config) tableBytes() Size { return 2 * c.cacheBytes() }

// usableBytes is what max-memory leaves beside an idle node.
func (c *Config) usableBytes() Size { return max(0, c.MaxMemory-c.idleBytes()) }

func (c *Config) idleBytes() Size { return idleBytes + Size(c.Loops)*loopBytes }

func (c *Config) checkMemory() (faults []error) {
	if c.KeyBytes < 1 || c.KeyBytes > wire.MaxKeyBytes {
		faults = append(faults, fault("key-bytes", "%v; use 1 to %v", c.KeyBytes, Size(wire.MaxKeyBytes)))
	}
	if c.ValueBytes < 1 || c.ValueBytes > wire.MaxValueBytes {
		faults = append(faults, fault("value-bytes", "%v; use 1 to %v", c.ValueBytes, Size(wire.MaxValueBytes)))
	}
	if len(faults) > 0 {
		return faults
	}
	least := c.leastPending()
	if c.PendingBytes != 0 && c.PendingBytes < least {
		faults = append(faults, fault("pending-bytes",
			"%v do not hold one version of value-bytes for each node; use at least %v, or lower value-bytes", c.PendingBytes, least))
	}
	if pending := c.pendingBytes(); c.MaxMemory > 0 && c.cacheBytes() < 2*pending {
		faults = append(faults, fault("max-memory",
			"%v is too little: an idle node has %v, %d %% of the rest are for versions, half of that for those in flight (%v); use at least %v, or lower value-bytes or pending-bytes",
			c.MaxMemory, c.idleBytes(), cacheShare, pending, roundUp(2*pending*100/cacheShare+100+c.idleBytes())))
	}
	if err := wire.CheckLimits(c.limits()); err != nil {
		faults = append(faults, fault("value-bytes", "%v; lower key-bytes or value-bytes", err))
	}
	return faults
}

// roundUp makes a size that is easy to read of one that is at least as large.
func roundUp(s Size) Size {
	const unit = 1 << 20
	return (s + unit - 1) / unit * unit
}

// LimitMemory tells the Go runtime what the table leaves it of max-memory. It is for a
// program that is one node and nothing else: the limit is the process's.
func (c *Config) LimitMemory() {
	if c.MaxMemory > 0 {
		table := c.cacheBytes() - c.pendingBytes()
		debug.SetMemoryLimit(int64(c.usableBytes()/100*usedShare - table - table/tableSlack))
	}
}
