package daemon

import (
	"strconv"

	"causalmesh/causal"
	"causalmesh/daemon/store"
	"causalmesh/ring"
)

// The metrics of a node's status but the core's, section by section. HELP is for people who
// see one metric alone; docs/metrics.md repeats it.

type number interface {
	~int | ~int64 | ~uint16 | ~uint32 | ~uint64
}

// ofNode, ofClients, ofLoops and ofStore take a number out of a status.
func ofNode[N number](f func(*Status) N) source {
	return func(s *Status, say say) { say(float64(f(s))) }
}

func ofClients[N number](f func(*Counters) N) source {
	return func(s *Status, say say) { say(float64(f(&s.Daemon))) }
}

func ofLoops[N number](f func(*ring.Stats) N) source {
	return func(s *Status, say say) { say(float64(f(&s.Loop))) }
}

// ofStore says nothing without a database.
func ofStore(f func(*store.Stats) uint64) source {
	return func(s *Status, say say) {
		if s.Store != nil {
			say(float64(f(s.Store)))
		}
	}
}

func ifSo(f func(*Status) bool) source {
	return func(s *Status, say say) { say(truth(f(s))) }
}

var nodeFamilies = []family{
	gauge("build_info", "1; what the program was made from.",
		func(s *Status, say say) { say(1, s.Version, s.Build.revision(), s.Build.Go) }, "version", "revision", "go"),
	gauge("node_info", "1; the node's number in the ring, and settings that explain the rest. Not before it has an epoch.",
		func(s *Status, say say) {
			if c := s.Server; c != nil {
				say(1, replicaName(c.Self), s.Config.IO, storeKind(s), c.Propagation, c.Ack, strconv.FormatBool(c.Signed))
			}
		}, "node", "io", "store", "propagation", "ack", "signed"),
	gauge("ready", "1 if the node has its epoch and all its links and is not ending, else 0; /readyz says why.",
		ifSo(func(s *Status) bool { return s.Ready })),
	gauge("joined", "1 once the node serves clients, else 0.", ifSo(func(s *Status) bool { return s.Joined })),
	gauge("draining", "1 while the node comes to rest before its end, and refuses writes.", ifSo(func(s *Status) bool { return s.Draining })),
	gauge("epoch", "Number of the cluster's epoch, the same at all nodes; 0: none yet.", ofNode(func(s *Status) causal.Epoch { return s.Epoch })),
	gauge("loops", "Event loops, each a thread.", ofNode(func(s *Status) int { return s.Config.Loops })),
	gauge("max_memory_bytes", "The setting max-memory; 0: no bound.", ofNode(func(s *Status) Size { return s.Config.MaxMemoryBytes })),
	gauge("cache_limit_bytes", "What versions may take of max-memory; 0: no bound.", ofNode(func(s *Status) Size { return s.Config.CacheBytes })),
	gauge("pending_limit_bytes", "What writes in flight of all nodes together may take; writes are refused beyond.",
		ofNode(func(s *Status) Size { return s.Config.PendingBytes })),
}

var clientFamilies = []family{
	gauge("clients", "Clients connected now, after their handshake.", ofClients(func(c *Counters) int { return c.Clients })),
	counter("client_handshakes_total", "Handshakes of clients, by outcome: welcomed or refused.", func(s *Status, say say) {
		say(float64(s.Daemon.Welcomed), "welcomed")
		say(float64(s.Daemon.Refused), "refused")
	}, "outcome"),
	counter("client_shared_memory_total", "Clients that asked for shared memory, by outcome: attached or refused.", func(s *Status, say say) {
		say(float64(s.Daemon.Attached), "attached")
		say(float64(s.Daemon.SharingRefused), "refused")
	}, "outcome"),
	counter("client_faults_total", "Connections of clients that the node has closed, by reason: malformed (for what was sent), unread (replies were not read), no-handshake (silence), corrupt-ring (what was done to shared memory).",
		func(s *Status, say say) {
			say(float64(s.Daemon.Malformed), "malformed")
			say(float64(s.Daemon.Unread), "unread")
			say(float64(s.Daemon.NoHandshake), "no-handshake")
			say(float64(s.Daemon.CorruptRings), "corrupt-ring")
		}, "reason"),
	counter("requests_total", "Requests of clients by operation, failed ones included. Reads that a client with a direct: target makes by itself are not seen.",
		func(s *Status, say say) {
			for i, n := range s.Daemon.Operations[1:] {
				say(float64(n), operationName(i+1))
			}
		}, "operation"),
	counter("request_errors_total", "Replies with an error, by reason: that of the client library's error.", func(s *Status, say say) {
		for i, n := range s.Daemon.Failures[1:] {
			say(float64(n), codeName(i+1))
		}
	}, "reason"),
	counter("table_reads_total", "Reads, and reads of many, that the loop which received them has answered from the table, without the core.",
		ofClients(func(c *Counters) uint64 { return c.DirectReads })),
	counter("core_queue_refused_total", "Requests of further loops refused as overloaded because too many wait for the core.",
		ofClients(func(c *Counters) uint64 { return c.Overloaded })),
	counter("reserved_keys_total", "Requests refused for a key that the node keeps for itself in the database.",
		ofClients(func(c *Counters) uint64 { return c.ReservedKeys })),
	counter("replies_withheld_total", "Replies that became an error because too many bytes waited on the connection already.",
		ofClients(func(c *Counters) uint64 { return c.Withheld })),
}

var peerFamilies = []family{
	gauge("peer_info", "1; another node's number, address, and place: successor, predecessor, both, or other.", func(s *Status, say say) {
		for _, p := range s.Peers {
			say(1, replicaName(p.Node), p.Address, p.Role)
		}
	}, "peer", "address", "role"),
	gauge("peer_link_up", "1 if the link to the other node (direction to), or the one from it (from), is up, else 0.", func(s *Status, say say) {
		for _, p := range s.Peers {
			say(truth(p.To), replicaName(p.Node), "to")
			say(truth(p.From), replicaName(p.Node), "from")
		}
	}, "peer", "direction"),
	gauge("peer_queued_bytes", "Bytes that wait to be sent to the other node.", func(s *Status, say say) {
		for _, p := range s.Peers {
			say(float64(p.Queued), replicaName(p.Node))
		}
	}, "peer"),
	counter("links_established_total", "Links to other nodes that were set up.", ofClients(func(c *Counters) uint64 { return c.LinksEstablished })),
	counter("link_faults_total", "What went wrong on links between nodes, by reason: silent (nothing came for link-timeout), refused (a handshake), malformed (what came), unproven (without the cluster key).",
		func(s *Status, say say) {
			say(float64(s.Daemon.LinksSilent), "silent")
			say(float64(s.Daemon.PeersRefused), "refused")
			say(float64(s.Daemon.PeersMalformed), "malformed")
			say(float64(s.Daemon.PeersUnproven), "unproven")
		}, "reason"),
}

// Those of further loops are as of their last tick.
var loopFamilies = []family{
	gauge("connections", "Open connections of all kinds.", ofLoops(func(l *ring.Stats) int { return l.OpenConns })),
	counter("connections_accepted_total", "Connections accepted.", ofLoops(func(l *ring.Stats) uint64 { return l.Accepted })),
	counter("connections_refused_total", "Connections closed at once: over max-conns, or while the node ends.", ofLoops(func(l *ring.Stats) uint64 { return l.Refused })),
	counter("connections_closed_total", "Connections that have ended.", ofLoops(func(l *ring.Stats) uint64 { return l.Closed })),
	counter("connections_stalled_total", "Connections closed because the other side did not read.", ofLoops(func(l *ring.Stats) uint64 { return l.Stalled })),
	counter("accept_errors_total", "Accepts that failed and were tried again: no files left, say.", ofLoops(func(l *ring.Stats) uint64 { return l.AcceptErrors })),
	counter("received_bytes_total", "Bytes received on sockets.", ofLoops(func(l *ring.Stats) uint64 { return l.BytesIn })),
	counter("sent_bytes_total", "Bytes sent on sockets.", ofLoops(func(l *ring.Stats) uint64 { return l.BytesOut })),
	counter("loop_turns_total", "Turns of the event loops.", ofLoops(func(l *ring.Stats) uint64 { return l.Turns })),
	counter("loop_enters_total", "Calls of io_uring_enter; 0 without io_uring.", ofLoops(func(l *ring.Stats) uint64 { return l.Enters })),
	counter("loop_starved_receives_total", "Receives that found no buffer free and were tried again; 0 without io_uring.", ofLoops(func(l *ring.Stats) uint64 { return l.Starved })),
}

var storeFamilies = []family{
	counter("store_loads_total", "Keys asked of the database, failed ones included. No store_ metric is there with the store mem.", ofStore(func(s *store.Stats) uint64 { return s.Loads })),
	counter("store_load_errors_total", "Loads that failed.", ofStore(func(s *store.Stats) uint64 { return s.LoadErrors })),
	counter("store_flushes_total", "Keys written to the database, failed ones included.", ofStore(func(s *store.Stats) uint64 { return s.Flushes })),
	counter("store_flush_errors_total", "Flushes that failed; they are made again.", ofStore(func(s *store.Stats) uint64 { return s.FlushErrors })),
	counter("store_superseded_total", "Flushes that found a later version in the database.", ofStore(func(s *store.Stats) uint64 { return s.Superseded })),
	counter("store_foreign_total", "Loads and flushes that found another program's change.", ofStore(func(s *store.Stats) uint64 { return s.Foreign })),
	counter("store_fenced_total", "Flushes that found a later epoch of the cluster.", ofStore(func(s *store.Stats) uint64 { return s.Fenced })),
	counter("store_unreadable_total", "Loads and flushes that found what no node has written.", ofStore(func(s *store.Stats) uint64 { return s.Unreadable })),
	counter("store_overwritten_total", "Flushes that went over what could not be read.", ofStore(func(s *store.Stats) uint64 { return s.Overwritten })),
	counter("store_refused_total", "Loads and flushes that were not queued: the queue is full, or the store is closed.", ofStore(func(s *store.Stats) uint64 { return s.Refused })),
	counter("store_round_trips_total", "Round trips to the database, each with one or more loads or flushes.", ofStore(func(s *store.Stats) uint64 { return s.RoundTrips })),
}

func replicaName(r causal.ReplicaID) string { return strconv.Itoa(int(r)) }

// storeKind does not tell where the database is.
func storeKind(s *Status) string {
	if s.Store != nil {
		return "redis"
	}
	return storeMem
}

// revision is that of the source, "+" behind it if it was changed.
func (b *Build) revision() string {
	if b.Modified {
		return b.Revision + "+"
	}
	return b.Revision
}
