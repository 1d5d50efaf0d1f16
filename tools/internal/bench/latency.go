package bench

import "causalmesh/bpf"

// latencies is the page about where the time of a request goes.
var latencies = &Page{
	Name: "latency", Title: "Latency, part by part", Make: "bench-probes",
	Full:  Plan{Rounds: 5, Seconds: 1.2, WarmUp: 0.3, Idle: 0.3, Keys: 100_000},
	Quick: Plan{Rounds: 2, Seconds: 0.3, WarmUp: 0.1, Idle: 0.1, Keys: 10_000},
	Experiments: func(Plan) []Experiment {
		var all []Experiment
		for _, t := range transports {
			all = append(all, breakdown(t))
		}
		return append(all, overhead(), runTimes())
	},
	Measured: []string{"./daemon/" + daemonName, "./bpf", "./tools/internal/probe"},
	Needs:    bpf.CheckHost, Read: readLatencies, Run: runLatencies,
}

// The loads of the page.
const (
	loadOne  = "one at a time"
	loadMany = "16 connections x 32"
)

// transport is a way to a node.
type transport struct {
	id, name string
	raw      string // of loadgen's target
	library  string // the same through the client library
	memory   bool   // shared: loadgen has no driver of its own for it
	// What is asked of it, and how to read the answer.
	asks, note string
}

var transports = []transport{
	{"unix", "Unix socket", "causalmesh:unix", "clientlib:unix", false, asksUnix, noteUnix},
	{"tcp", "TCP", "causalmesh:tcp", "clientlib:tcp", false, asksTCP, noteTCP},
	{"shm", "Shared memory", "causalmesh:shm", "causalmesh:shm", true, asksMemory, noteMemory},
}

// The clients of a transport, as systems.
const (
	spinning    = "client that spins"
	sleeping    = "client that sleeps"
	withLibrary = "client library"
)

// uring are flags of nodes that probes can see.
var uring = []string{"--io", "uring"}

// bothLoads are reads one at a time and many at once.
func bothLoads() []Load {
	return []Load{{Name: loadOne, Flags: one("1")}, {Name: loadMany, Flags: many("1")}}
}

// breakdown splits up what clients of a transport measure.
func breakdown(t transport) Experiment {
	e := Experiment{ID: t.id, Title: t.name, Asks: t.asks, Note: t.note, Loads: bothLoads(), take: takeProbed}
	first := System{NoStore: true, TCP: true, Flags: uring, Probed: true}
	clients := []string{withLibrary}
	more := Table{}
	if t.memory {
		first.Name, first.Way = withLibrary, t.library
		e.Systems = []System{first}
	} else {
		first.Name, first.Way, first.Apart, first.Client = spinning, t.raw, true, []string{"--spin"}
		e.Systems = []System{
			first,
			{Name: sleeping, Way: t.raw, Of: spinning, Apart: true, Probed: true},
			{Name: withLibrary, Way: t.library, Of: spinning, Apart: true, Probed: true},
		}
		clients = []string{spinning, sleeping, withLibrary}
		e.Loads[1].Systems = clients[1:] // Where there is always something to do nobody sleeps.
		more = Table{More: []Metric{Client}, Against: sleeping}
	}
	parts := []Metric{Queue, Service, Send, Client}
	for _, load := range []string{loadOne, loadMany} {
		means := more
		means.Load, means.Caption, means.Columns = load, "Means, "+load, append([]Metric{Mean, WakeUp}, parts...)
		e.Tables = append(e.Tables, means,
			Table{Load: load, Caption: "Medians, " + load, Columns: []Metric{P50, QueueP50, ServiceP50, SendP50}})
	}
	e.Charts = []Figure{{Caption: "mean latency and its parts; lower is better",
		Stacks: &Stacks{Loads: []string{loadOne, loadMany}, Systems: clients, Total: Mean, Parts: parts}}}
	return e
}

// The states of probes that are compared. The names of systems end with them.
const (
	neverAttached = ", never attached"
	attached      = ", attached"
	detachedAgain = ", detached again"
)

func overhead() Experiment {
	e := Experiment{
		ID: "overhead", Title: "What probes cost",
		Asks: "The same reads at a node that no probes were ever attached to, at the same node with probes attached, and " +
			"after they were detached again, one right after the other. Each round of each load starts nodes of its own.",
		Note:  notesOverhead,
		Fresh: true, Loads: bothLoads(), take: takeProbed,
	}
	for _, t := range transports {
		never := t.name + neverAttached
		e.Systems = append(e.Systems,
			System{Name: never, Apart: !t.memory, NoStore: true, TCP: true, Flags: uring, Way: t.raw},
			System{Name: t.name + attached, Apart: !t.memory, Of: never, Way: t.raw, Probed: true},
			System{Name: t.name + detachedAgain, Apart: !t.memory, Of: never, Way: t.raw})
		e.Bounds = append(e.Bounds, overheadBounds(t)...)
	}
	for i, load := range []string{loadOne, loadMany} {
		for _, t := range transports {
			metrics := [][]Metric{{P50, NodeCPU, ClientCPU, BothCPU}, {NodeCPU, ClientCPU, BothCPU, Throughput}}[i]
			e.Tables = append(e.Tables, Table{Load: load, Caption: t.name + ", " + load, Columns: metrics,
				Ratios: []Metric{metrics[0], BothCPU}, Against: t.name + neverAttached,
				Systems: []string{t.name + neverAttached, t.name + attached, t.name + detachedAgain}})
		}
	}
	return e
}

// What probes may cost.
const (
	mostP50      = 2500 // ns, one at a time
	mostP50Ratio = 1.2
	mostCPU      = 0.05 // µs for each request, many at once
	mostCPURatio = 1.05
	// noise is by how much two measurements of the same may differ.
	noise = 0.05
)

func overheadBounds(t transport) []Bound {
	var all []Bound
	add := func(says, load string, m Metric, state string, b Bound) {
		b.Says, b.Load, b.Metric = t.name+", "+load+": "+says, load, m
		b.System, b.Against = t.name+state, t.name+neverAttached
		all = append(all, b)
	}
	add("p50 with probes", loadOne, P50, attached, Bound{More: true, AtMost: mostP50})
	add("p50 with probes, ratio", loadOne, P50, attached, Bound{AtMost: mostP50Ratio})
	add("CPU of client and node with probes", loadMany, BothCPU, attached, Bound{More: true, AtMost: mostCPU})
	add("CPU of client and node with probes, ratio", loadMany, BothCPU, attached, Bound{AtMost: mostCPURatio})
	add("CPU of the node with probes", loadMany, NodeCPU, attached, Bound{More: true, AtMost: mostCPU})
	add("CPU of the node with probes, ratio", loadMany, NodeCPU, attached, Bound{AtMost: mostCPURatio})
	add("p50 after probes, ratio", loadOne, P50, detachedAgain, Bound{AtLeast: 1 - noise, AtMost: 1 + noise})
	add("CPU of client and node after probes, ratio", loadMany, BothCPU, detachedAgain, Bound{AtLeast: 1 - noise, AtMost: 1 + noise})
	return all
}

func runTimes() Experiment {
	e := Experiment{
		ID: "programs", Title: "How long the programs run",
		Asks:  "The kernel counts how often each program runs and for how long (`bpf_stats_enabled`), in a run of its own, as that costs, too.",
		Note:  notesPrograms,
		Loads: bothLoads(), take: takePrograms,
	}
	for _, t := range transports {
		e.Systems = append(e.Systems, System{Name: t.name, Apart: !t.memory, Way: t.raw, NoStore: true, TCP: true, Flags: uring})
	}
	var columns []Metric
	for _, program := range probePrograms {
		columns = append(columns, runsOf(program), runTimeOf(program))
	}
	for _, load := range []string{loadOne, loadMany} {
		e.Tables = append(e.Tables, Table{Load: load, Caption: "Reads, " + load, Columns: append(columns[:len(columns):len(columns)], ProgramTime)})
	}
	return e
}
