package bench

import (
	"strconv"
	"time"
)

// The names of systems and loads, in the data and in the document.
const (
	nameMesh      = "causalmesh"
	nameRedis     = "Redis"
	nameMemcached = "memcached"
	nameMap       = "Go map"
	// Ways to one and the same ring.
	nameUnix    = "causalmesh unix"
	nameShm     = "causalmesh shm"
	nameDirect  = "causalmesh direct"
	nameLibrary = "clientlib unix"

	loadRead  = "read"
	loadWrite = "write"
	loadMixed = "mixed"
	loadPast  = "past"
	loadOwn   = "own writes"
	loadFill  = "fill"

	loadSeldom = "now and then"
	loadIdle   = "idle clients"
	loadBeside = "reads beside writes"

	loadKeys  = "keys"
	loadSizes = "value size"
	loadConns = "connections"
)

// Experiments are all that there are, in the order of the document.
func Experiments(p Plan) []Experiment {
	return []Experiment{
		depthOne(), batches(), sharedMemory(p), underWrites(p), pasts(p), allocations(), memory(p), loops(), inputOutput(),
		openLoop(p), growth(p),
	}
}

// one is a single session on a single connection: each operation waits for the last.
func one(readRatio string, more ...string) []string {
	return append([]string{"--conns", "1", "--depth", "1", "--read-ratio", readRatio}, more...)
}

// many are sessions enough to keep every queue filled.
func many(readRatio string, more ...string) []string {
	return append([]string{"--conns", "16", "--depth", "32", "--read-ratio", readRatio}, more...)
}

func depthOne() Experiment {
	return Experiment{
		ID: "latency", Title: "One operation at a time",
		Asks: "One session on one connection reads, or writes, one key after the other: how long does an operation take, " +
			"and what does it cost? A read is compared with a GET of Redis and a get of memcached, a write with a SET.",
		Note: "A write at causalmesh does more than a SET: it goes round to two other nodes, becomes visible when all " +
			"have it, and is flushed to the database below. The CPU time of all of that is in *server CPU*, as it is for " +
			"what belongs to reads; the last table splits it up, per request and until the ring is at rest.",
		Systems: []System{{Name: nameMesh}, {Name: nameRedis, Kind: kindRedis}, {Name: nameMemcached, Kind: kindMemcached}},
		Loads:   []Load{{Name: loadRead, Flags: one("1")}, {Name: loadWrite, Flags: one("0"), Writes: true}},
		Bounds: []Bound{
			{Says: "read p50, to a GET of Redis", Metric: P50, Load: loadRead, System: nameMesh, Against: nameRedis, AtMost: 1},
			{Says: "write p50, to a SET of Redis", Metric: P50, Load: loadWrite, System: nameMesh, Against: nameRedis, AtMost: 1.2},
		},
		Tables: []Table{
			{Load: loadRead, Caption: "Reads", Columns: []Metric{P50, P99, ServerCPU, Throughput}, Ratios: []Metric{P50, ServerCPU}, Against: nameRedis},
			{Load: loadWrite, Caption: "Writes", Columns: []Metric{P50, P99, ServerCPU, Throughput}, Ratios: []Metric{P50, ServerCPU}, Against: nameRedis},
			{Load: loadWrite, Caption: "Where the CPU time of a write goes", Columns: []Metric{NodeCPU, OthersCPU, StoreCPU}, Systems: []string{nameMesh}},
		},
		Charts: []Figure{{Caption: "p50 of each run; lower is better", Panels: []Panel{{"Reads", loadRead, P50}, {"Writes", loadWrite, P50}}}},
	}
}

func batches() Experiment {
	return Experiment{
		ID: "batches", Title: "Many operations at once",
		Asks: "16 connections with 32 sessions each read as fast as they can: what does a read cost the servers when " +
			"requests come in batches, and how many are served?",
		Note: "The load generator takes processors, too, so throughput is that of all together on this machine. CPU time " +
			"per read is what the servers alone have used.",
		Systems: []System{{Name: nameMesh}, {Name: nameRedis, Kind: kindRedis}, {Name: nameMemcached, Kind: kindMemcached}},
		Loads:   []Load{{Name: loadRead, Flags: many("1")}},
		Bounds: []Bound{
			{Says: "CPU time of a read in batches, to Redis", Metric: ServerCPU, Load: loadRead, System: nameMesh, Against: nameRedis, AtMost: 0.5},
		},
		Tables: []Table{{Load: loadRead, Columns: []Metric{ServerCPU, Throughput, P50, P99}, Ratios: []Metric{ServerCPU, Throughput}, Against: nameRedis}},
		Charts: []Figure{{Caption: "each run; CPU: lower is better, throughput: higher", Panels: []Panel{{"CPU of the servers", loadRead, ServerCPU}, {"Throughput", loadRead, Throughput}}}},
	}
}

func pasts(p Plan) Experiment {
	e := Experiment{
		ID: "past", Title: "Long workflows",
		Asks: "A session that has done much before: do its reads become slower, dearer or larger? One session on one " +
			"connection has a past of some operations, and then reads. In a second series each read is that of a workflow whose " +
			"parallel branches have just joined, each of which has written another key at once: so many own writes are asked " +
			"for, and so many were still in flight when the read began and when it was answered.",
		Note: "A request carries its number within the session and the vector's counters, which are written in as few " +
			"bytes as they need: from 128 and from 65,536 requests, or writes of a node, on they take two bytes more. Nothing else " +
			"of a request depends on what was before. " +
			"The writes of the second series are in no latency and no bytes. Their CPU time is counted, and CPU time is " +
			"per request there, writes included.",
		Systems: []System{{Name: nameMesh}},
		Tables: []Table{
			{Load: loadPast, Caption: "With a past", X: "operations before", Columns: []Metric{P50, ServerCPU, BytesSent, BytesReceived}},
			{Load: loadOwn, Caption: "With writes in flight", X: "own writes", Columns: []Metric{OwnAtBegin, OwnAtEnd, P50, ServerCPU, BytesSent, BytesReceived}},
		},
		Charts: []Figure{{Caption: "p50 of reads by the length of the past, each run", Lines: &Lines{
			Load: loadPast, XTitle: "operations before", YTitle: "p50, µs", LogX: true, Metrics: []Metric{P50}}}},
	}
	for _, n := range p.Pasts {
		e.Loads = append(e.Loads, Load{Name: loadPast, X: float64(n), Writes: true, Flags: one("1", "--past", strconv.Itoa(n))})
	}
	for _, n := range p.Own {
		e.Loads = append(e.Loads, Load{Name: loadOwn, X: float64(n), Writes: true, Flags: one("1", "--own-writes", strconv.Itoa(n))})
	}
	for _, n := range p.Pasts[1:] {
		for _, b := range []Bound{
			{Says: "read p50", Metric: P50, AtLeast: 0.8, AtMost: 1.2},
			{Says: "CPU time of a read", Metric: ServerCPU, AtLeast: 0.8, AtMost: 1.2},
			{Says: "bytes of a request", Metric: BytesSent, AtLeast: 0.95, AtMost: 1.05},
		} {
			b.Says += " after " + grouped(float64(n)) + " operations, to after " + grouped(float64(p.Pasts[0]))
			b.Load, b.System, b.X, b.AgainstX = loadPast, nameMesh, float64(n), float64(p.Pasts[0])
			e.Bounds = append(e.Bounds, b)
		}
	}
	return e
}

func allocations() Experiment {
	return Experiment{
		ID: "allocations", Title: "Garbage",
		Asks: "How many objects does a running node allocate on Go's heap for a million requests? Reads of keys that it " +
			"has, and writes, from 512 sessions. With a database below, and without one.",
		Note: "Requests for the status, heartbeats and the like allocate, too: the last column says how much in as long a " +
			"time without requests, over the same number of requests. What writes allocate where there is a database is " +
			"the Redis client's, for flushing: nothing that a request waits for.",
		Systems: []System{{Name: nameMesh}, {Name: nameMesh + ", no database", NoStore: true}},
		Loads: []Load{
			{Name: loadRead, Flags: many("1", "--warmup", "0s")}, {Name: loadWrite, Flags: many("0", "--warmup", "0s"), Writes: true},
		},
		take: takeAllocations, expect: 8 * time.Second,
		Tables: []Table{
			{Load: loadRead, Caption: "Reads that hit", Columns: []Metric{NodeAllocs, OthersAllocs, IdleAllocs, Requests}},
			{Load: loadWrite, Caption: "Writes", Columns: []Metric{NodeAllocs, OthersAllocs, IdleAllocs, Requests}},
		},
	}
}

func memory(p Plan) Experiment {
	return Experiment{
		ID: "memory", Title: "Memory",
		Asks: "By how much does the memory of a process grow (its proportional set size) while entries with keys of 12 and " +
			"values of 8 bytes are written? From " + grouped(float64(p.Entries)) + " to twice as many: a table that " +
			"doubles its size is seen full and half empty.",
		Note: "Each of the three nodes holds all entries; the one that has grown most is shown. The garbage that a node has " +
			"not collected half a second after it has come to rest is in it. The bound is judged where causalmesh needs most per entry, in one run: memory " +
			"does not vary with what else the machine does.",
		Systems: []System{{Name: nameMesh}, {Name: nameRedis, Kind: kindRedis}},
		Loads:   []Load{{Name: loadFill}},
		Rounds:  1, Bare: true, take: takeMemory,
		expect: time.Duration(p.Entries) * 30 * time.Microsecond,
		Bounds: []Bound{
			{Says: "memory of a node at its worst fill, to Redis", Metric: PerEntry, Load: loadFill, Worst: true, System: nameMesh, Against: nameRedis, AtMost: 1},
		},
		Tables: []Table{
			{Load: loadFill, X: "entries", Columns: []Metric{PerEntry, Growth}, Ratios: []Metric{PerEntry}, Against: nameRedis},
		},
		Charts: []Figure{{Caption: "memory for each entry; lower is better", Lines: &Lines{
			Load: loadFill, XTitle: "entries, millions", XScale: 1e-6, YTitle: "growth per entry, bytes", Metrics: []Metric{PerEntry}}}},
	}
}

func loops() Experiment {
	e := Experiment{
		ID: "loops", Title: "Several loops",
		Asks:  "A node can serve clients from several event loops (`--loops`). What do they bring, and what do they cost, under reads from 512 sessions?",
		Cores: 4,
		FewCores: "This machine has too few processors to see how throughput grows with loops: loops, other nodes and the " +
			"load generator share them. What can be seen here is what more loops cost.",
		Loads:  []Load{{Name: loadRead, Flags: many("1")}},
		Charts: []Figure{{Caption: "each run; CPU: lower is better, throughput: higher", Panels: []Panel{{"CPU of the servers", loadRead, ServerCPU}, {"Throughput", loadRead, Throughput}}}},
	}
	for n, name := range []string{"1 loop", "2 loops", "3 loops"} {
		e.Systems = append(e.Systems, System{Name: name, Flags: []string{"--loops", strconv.Itoa(n + 1)}})
	}
	e.Tables = []Table{{Load: loadRead, Columns: []Metric{Throughput, ServerCPU, P50, P99}, Ratios: []Metric{Throughput, ServerCPU}, Against: e.Systems[0].Name}}
	return e
}

func inputOutput() Experiment {
	const uring, net = "io_uring", "net"
	loads := []Load{
		{Name: loadRead, Flags: one("1")}, {Name: loadWrite, Flags: one("0"), Writes: true}, {Name: "reads in batches", Flags: many("1")},
	}
	e := Experiment{
		ID: "io", Title: "io_uring and the net package",
		Asks: "The same daemon moves its bytes through io_uring (`--io uring`) or through Go's net package (`--io net`), " +
			"which it falls back to where io_uring is forbidden. The loads of the first two comparisons again, at both.",
		Systems: []System{{Name: uring, Flags: []string{"--io", "uring"}, Optional: true}, {Name: net, Flags: []string{"--io", "net"}}},
		Loads:   loads,
		Charts: []Figure{{Caption: "each run; lower is better", Panels: []Panel{
			{"Read p50", loadRead, P50}, {"Write p50", loadWrite, P50}, {"CPU of a read in batches", loads[2].Name, ServerCPU},
		}}},
	}
	for i, caption := range []string{"Reads, one at a time", "Writes, one at a time", "Reads, many at once"} {
		e.Tables = append(e.Tables, Table{Load: loads[i].Name, Caption: caption, Columns: []Metric{P50, P99, ServerCPU, Throughput},
			Ratios: []Metric{P50, ServerCPU}, Against: net})
	}
	return e
}

func openLoop(p Plan) Experiment {
	e := Experiment{
		ID: "rate", Title: "Latency by rate",
		Asks: "Operations fall due at random times at a given rate, whatever the system does: nine reads to a write, from " +
			"512 sessions on 16 connections. Latency counts from when an operation was due, so waiting is in it.",
		Note: "Where less is served than was offered, the system, or the load generator beside it, is saturated; from there " +
			"on latency says how long the run was, and nothing else. *Generator late* is how late the generator itself began " +
			"what a free session could have begun, and is in the latencies of all systems.",
		Systems: []System{{Name: nameMesh}, {Name: nameRedis, Kind: kindRedis}},
		Tables:  []Table{{Load: loadMixed, X: "offered, operations/s", Columns: []Metric{Throughput, P50, P99, ServerCPU, Lag}}},
		Charts: []Figure{{Caption: "latency by offered rate, each run; lower is better. A line ends where less than 95 % of what is offered is served", Lines: &Lines{Load: loadMixed, Served: true,
			XTitle: "offered, operations/s", YTitle: "latency, µs", LogX: true, LogY: true, Metrics: []Metric{P50, P99}}}},
	}
	for _, rate := range p.Rates {
		e.Loads = append(e.Loads, Load{Name: loadMixed, X: rate, Writes: true,
			Flags: many("0.9", "--rate", strconv.FormatFloat(rate, 'f', -1, 64))})
	}
	return e
}
