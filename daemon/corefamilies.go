package daemon

import "causalmesh/causal"

// The metrics of the core: of causal.Status.

// ofCore takes a number out of the core's status; there is none before there is an epoch.
func ofCore[N number](f func(*causal.Status) N) source {
	return func(s *Status, say say) {
		if s.Server != nil {
			say(float64(f(s.Server)))
		}
	}
}

// counted takes one of the core's counters.
func counted(f func(*causal.Counters) uint64) source {
	return ofCore(func(s *causal.Status) uint64 { return f(&s.Counters) })
}

// clockOf takes a vector of the core, one value for each origin of writes.
func clockOf(f func(*causal.Status) causal.VectorClock) source {
	return func(s *Status, say say) {
		if s.Server == nil {
			return
		}
		v := f(s.Server)
		for origin := range s.Server.Replicas {
			n := causal.Counter(0)
			if origin < len(v) {
				n = v[origin]
			}
			say(float64(n), replicaName(causal.ReplicaID(origin)))
		}
	}
}

var clockFamilies = []family{
	gauge("clock_received", "R: the last write of each origin that this node has received by its traversal. Writes of an origin are numbered from 1 in each epoch.",
		clockOf(func(s *causal.Status) causal.VectorClock { return s.Received }), "origin"),
	gauge("clock_everywhere", "E: the last write of each origin that this node knows all nodes to have.",
		clockOf(func(s *causal.Status) causal.VectorClock { return s.Everywhere }), "origin"),
	gauge("clock_stable", "S: the last write of each origin that is visible at this node.",
		clockOf(func(s *causal.Status) causal.VectorClock { return s.Stable }), "origin"),
	gauge("clock_flushed", "F: the last write of each origin up to which the database has what this node is the home of.",
		clockOf(func(s *causal.Status) causal.VectorClock { return s.Flushed }), "origin"),
}

var coreFamilies = []family{
	gauge("replicas", "Nodes of the ring.", ofCore(func(s *causal.Status) int { return s.Replicas })),
	gauge("incarnation", "How often the node has joined again within the epoch; 0 while the members of a ring are fixed.", ofCore(func(s *causal.Status) causal.Incarnation { return s.Incarnation })),
	gauge("fenced", "1 if a later epoch of the cluster owns the database: nothing is served, restart the node.", func(s *Status, say say) {
		if s.Server != nil {
			say(truth(s.Server.Fenced))
		}
	}),
	gauge("pending_versions", "Versions in flight: received and not visible yet.", ofCore(func(s *causal.Status) int { return s.Pending })),
	gauge("pending_bytes", "Bytes of versions in flight, bounded by pending_limit_bytes.", ofCore(func(s *causal.Status) int { return s.PendingBytes })),
	gauge("unsent_versions", "Versions that the next node may lack.", ofCore(func(s *causal.Status) int { return s.Unsent })),
	gauge("held_writes", "Writes that wait to be acknowledged until the next node has them (ack replicated).", ofCore(func(s *causal.Status) int { return s.Held })),
	gauge("cached_keys", "Keys in the cache.", ofCore(func(s *causal.Status) int { return s.Entries })),
	gauge("cached_bytes", "Bytes that cached keys take.", ofCore(func(s *causal.Status) int { return s.EntryBytes })),
	gauge("dirty_keys", "Keys of which the database lacks the last visible version, and this node is the home.", ofCore(func(s *causal.Status) int { return s.Dirty })),
	gauge("loads_in_progress", "Keys that are being loaded.", ofCore(func(s *causal.Status) int { return s.LoadsNow })),
	gauge("parked_reads", "Reads that wait for loads.", ofCore(func(s *causal.Status) int { return s.Parked })),

	counter("core_reads_total", "Reads, and reads of many, that got to the core and were not refused at once; the others are in table_reads_total.", counted(func(c *causal.Counters) uint64 { return c.Reads })),
	counter("core_read_misses_total", "Reads, and reads of many, that had to wait for a load, or were refused since too many do.", counted(func(c *causal.Counters) uint64 { return c.ReadMisses })),
	counter("core_writes_total", "Writes and deletes that were carried out.", counted(func(c *causal.Counters) uint64 { return c.Writes })),
	counter("core_syncs_total", "Syncs that were answered.", counted(func(c *causal.Counters) uint64 { return c.Syncs })),
	counter("core_retries_total", "Writes that came again and were answered from memory.", counted(func(c *causal.Counters) uint64 { return c.Retries })),
	counter("core_refused_total", "Requests that the core has refused, for whatever reason.", counted(func(c *causal.Counters) uint64 { return c.Refused })),
	counter("core_overloaded_total", "Writes that the core has refused because its memory or the room for writes in flight was full.", counted(func(c *causal.Counters) uint64 { return c.Overloaded })),
	counter("core_forged_total", "Contexts and dots without a tag of this cluster's key; the request was refused.", counted(func(c *causal.Counters) uint64 { return c.Forged })),
	counter("core_future_contexts_total", "Contexts ahead of what this node has received; the request was refused.", counted(func(c *causal.Counters) uint64 { return c.Future })),
	counter("versions_received_total", "Versions of other nodes that came by their traversal of the ring.", counted(func(c *causal.Counters) uint64 { return c.Received })),
	counter("versions_duplicate_total", "Versions that came again, after a link was set up anew.", counted(func(c *causal.Counters) uint64 { return c.Duplicates })),
	counter("ring_gaps_total", "Gaps in what the predecessor sends; the link is set up anew.", counted(func(c *causal.Counters) uint64 { return c.Gaps })),
	counter("ring_messages_total", "Messages received from the predecessor.", counted(func(c *causal.Counters) uint64 { return c.RingMessages })),
	counter("peer_errors_total", "Messages of other nodes that broke the protocol; the link is set up anew.", counted(func(c *causal.Counters) uint64 { return c.PeerErrors })),
	counter("misses_served_total", "Keys that other nodes have asked this one for, their home.", counted(func(c *causal.Counters) uint64 { return c.Misses })),
	counter("loads_total", "Loads that were begun, from the database or the key's home.", counted(func(c *causal.Counters) uint64 { return c.Loads })),
	counter("loads_shared_total", "Times that a read, or another node's, joined a load under way.", counted(func(c *causal.Counters) uint64 { return c.LoadsShared })),
	counter("load_errors_total", "Loads that failed or took too long.", counted(func(c *causal.Counters) uint64 { return c.LoadErrors })),
	counter("flushes_total", "Flushes of keys that were begun.", counted(func(c *causal.Counters) uint64 { return c.Flushes })),
	counter("flush_errors_total", "Flushes that failed; they are made again.", counted(func(c *causal.Counters) uint64 { return c.FlushErrors })),
	counter("impossible_records_total", "Times that an impossible record was found in the database; its key is neither loaded nor flushed until it is deleted there.", counted(func(c *causal.Counters) uint64 { return c.StoreErrors })),
	counter("imported_total", "Values of other programs that were made writes of this node.", counted(func(c *causal.Counters) uint64 { return c.Imported })),
	counter("reissued_total", "Writes made again above the database's stamp: a clock went back between two lives of the cluster.", counted(func(c *causal.Counters) uint64 { return c.Reissued })),
	counter("evicted_total", "Keys evicted from the cache.", counted(func(c *causal.Counters) uint64 { return c.Evicted })),
	counter("expired_total", "Keys that became tombstones because their time to live was over.", counted(func(c *causal.Counters) uint64 { return c.Expired })),
}
