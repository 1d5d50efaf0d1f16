package bench

import "strconv"

const (
	// seldom is how many operations a second fall due where both sides sleep in between.
	seldom = 500
	// idleClients are in shared memory and do nothing.
	idleClients = 32
	// besideWrites is how many writes a second fall due beside direct reads.
	besideWrites = 50_000
)

// manyReads are flags for reads that are over before the clock can be read twice.
var manyReads = []string{"--run", "100"}

func sharedMemory(p Plan) Experiment {
	const zipf = "zipf:1.0"
	e := Experiment{
		ID: "shared", Title: "Shared memory",
		Asks: "A client on a node's machine can pass its requests through shared memory (`shm:`), or read the node's table " +
			"without asking it (`direct:`). What is a read of one session on one connection then? Keys are drawn by Zipf's " +
			"law with exponent 1. *" + nameUnix + "* is driven over a raw socket, as Redis is; *" + nameLibrary + "* is the same " +
			"node through the client library, which shared memory needs. *" + nameMap + "* is a Go map under a `sync.RWMutex` in " +
			"the load generator's own process: what a program could have without a server and without any guarantee. " +
			"In a second comparison a read falls due at random, " + strconv.Itoa(seldom) + " times a second, so that client and " +
			"server sleep in between. In a third one clients in shared memory do nothing, half of them with the table mapped.",
		Note: "In shared memory a client looks out for its reply for a while before it sleeps, as long as replies are " +
			"sooner there than it could be woken. Direct reads and those of the map are timed in runs of 100, as to read the " +
			"clock takes as long as one of them; their percentiles are those of the runs' means. Where reads fall due, latency " +
			"counts from then, so it has the waking of the client in it, which shows as *generator late*. The CPU of a node is " +
			"counted in ticks of 10 ms.",
		Systems: []System{
			{Name: nameUnix}, {Name: nameLibrary, Of: nameUnix, Way: "clientlib:unix"},
			{Name: nameShm, Of: nameUnix, Way: "causalmesh:shm"}, {Name: nameDirect, Of: nameUnix, Way: "causalmesh:direct", Client: manyReads},
			{Name: nameRedis, Kind: kindRedis}, {Name: nameMap, Kind: kindMap, Client: manyReads},
		},
		Loads: []Load{
			{Name: loadRead, Flags: one("1", "--dist", zipf)},
			{Name: loadSeldom, Flags: one("1", "--dist", zipf, "--rate", strconv.Itoa(seldom)), Systems: []string{nameUnix, nameLibrary, nameShm, nameRedis}},
		},
		Bounds: []Bound{
			{Says: "direct read p50", Metric: P50, Load: loadRead, System: nameDirect, Absolute: true, AtMost: 250},
			{Says: "direct read p50, to a GET of Redis", Metric: P50, Load: loadRead, System: nameDirect, Against: nameRedis, AtMost: 1.0 / 50},
			{Says: "direct read p50, to a Go map", Metric: P50, Load: loadRead, System: nameDirect, Against: nameMap, AtMost: 2},
			{Says: "read p50 through shared memory", Metric: P50, Load: loadRead, System: nameShm, Absolute: true, AtMost: 2000},
			{Says: "read p50 through shared memory, to a GET of Redis", Metric: P50, Load: loadRead, System: nameShm, Against: nameRedis, AtMost: 1.0 / 8},
			{Says: "where both sides sleep, read p50 through shared memory, to a raw socket", Metric: P50, Load: loadSeldom, System: nameShm, Against: nameUnix, AtMost: 1},
			{Says: "where both sides sleep, read p50 through shared memory, to a socket and the same library", Metric: P50, Load: loadSeldom, System: nameShm, Against: nameLibrary, AtMost: 1},
			{Says: "CPU of a node with " + strconv.Itoa(idleClients) + " idle clients in shared memory", Metric: IdleCPU, Load: loadIdle, X: idleClients, System: nameUnix, Absolute: true, AtMost: 0.01},
		},
		Tables: []Table{
			{Load: loadRead, Caption: "Reads, one after the other", Columns: []Metric{P50, P99, P999, ServerCPU, Throughput}, Ratios: []Metric{P50}, Against: nameRedis},
			{Load: loadSeldom, Caption: "Reads now and then", Columns: []Metric{P50, P99, ServerCPU, ClientCPU, Lag}, Ratios: []Metric{P50}, Against: nameUnix},
			{Load: loadIdle, Caption: "Clients that do nothing", X: "clients", Columns: []Metric{IdleCPU}, Systems: []string{nameUnix}},
		},
		Charts: []Figure{{Caption: "p50 of each run, on a logarithmic axis; lower is better", Log: true, Panels: []Panel{
			{"One after the other", loadRead, P50}, {"Now and then", loadSeldom, P50}}}},
	}
	for _, n := range []float64{0, idleClients} {
		e.Loads = append(e.Loads, Load{Name: loadIdle, X: n, Systems: []string{nameUnix}, take: takeAttached, expect: dozeOff + seconds(p.Attached)})
	}
	return e
}

func underWrites(p Plan) Experiment {
	return Experiment{
		ID: "underwrites", Title: "Direct reads while writes land",
		Asks: "A client reads a node's table directly, one key after the other, while another load generator writes at the same " +
			"node: " + grouped(besideWrites) + " writes fall due each second, keys of both by Zipf's law with exponent 1. How long " +
			"does a read take that may find the writer at work?",
		Note: "The writer is a process of its own on the same machine, with 512 sessions on 16 connections over the node's Unix " +
			"socket. It, the reader, and the three nodes, which all take every write, share the machine's processors; *writes " +
			"served* says how many really landed. There is no database below. Each read is timed by itself, and the time of " +
			"reading the clock is in it.",
		Systems: []System{{Name: nameDirect, NoStore: true, Way: "causalmesh:direct"}},
		Loads: []Load{{Name: loadBeside, X: besideWrites, Writes: true, Flags: one("1", "--dist", "zipf:1.0"), take: takeUnderWrites,
			expect: writerAhead + p.duration() + p.warmUp() + aroundLoad}},
		Bounds: []Bound{
			{Says: "p99.9 of a direct read while writes land", Metric: P999, Load: loadBeside, X: besideWrites, System: nameDirect, Absolute: true, AtMost: 20_000},
			{Says: "direct reads while writes land", Metric: Throughput, Load: loadBeside, X: besideWrites, System: nameDirect, Absolute: true, AtLeast: 1},
		},
		Tables: []Table{{Load: loadBeside, X: "writes due each second", Columns: []Metric{Written, P50, P99, P999, Throughput}}},
	}
}
