package bench

import "causalmesh/bpf"

// latencies is the page about where the time of a request goes.
var latencies = &Page{
	Name: "latency", Title: "Latency, part by part", Make: "bench-probes",
	Full:  Plan{Rounds: 5, Seconds: 1.5, WarmUp: 0.3, Keys: 100_000},
	Quick: Plan{Rounds: 2, Seconds: 0.3, WarmUp: 0.1, Keys: 10_000},
	Experiments: func(Plan) []Experiment {
		return []Experiment{breakdown(), overhead(), runTimes()}
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
	name    string
	raw     string // of loadgen's target
	library string // the same through the client library
}

var transports = []transport{
	{"Unix socket", "causalmesh:unix", "clientlib:unix"},
	{"TCP", "causalmesh:tcp", "clientlib:tcp"},
}

// The clients of the breakdown. The names of systems end with them.
const (
	spinning    = ", client that spins"
	sleeping    = ", client that sleeps"
	withLibrary = ", client library"
)

// uring are flags of nodes that probes can see.
var uring = []string{"--io", "uring"}

// bothLoads are reads one at a time and many at once.
func bothLoads() []Load {
	return []Load{{Name: loadOne, Flags: one("1")}, {Name: loadMany, Flags: many("1")}}
}

func breakdown() Experiment {
	e := Experiment{
		ID: "breakdown", Title: "Where the time goes", Apart: true,
		Asks: asksBreakdown, Note: notesBreakdown,
		Loads: bothLoads(), take: takeProbed,
	}
	// All are of one ring. Where there is always something to do nobody sleeps.
	sleeps := &e.Loads[1].Systems
	for _, t := range transports {
		names := []string{t.name + spinning, t.name + sleeping, t.name + withLibrary}
		*sleeps = append(*sleeps, names[1:]...)
		e.Systems = append(e.Systems,
			System{Name: names[0], Way: t.raw, Client: []string{"--spin"}},
			System{Name: names[1], Way: t.raw},
			System{Name: names[2], Way: t.library})
		parts := []Metric{Queue, Service, Send, Client}
		for _, load := range []string{loadOne, loadMany} {
			e.Tables = append(e.Tables,
				Table{Load: load, Caption: t.name + ", " + load + ": means", Systems: names, Columns: append([]Metric{Mean, WakeUp}, parts...),
					More: []Metric{Client}, Against: t.name + sleeping},
				Table{Load: load, Caption: t.name + ", " + load + ": medians", Systems: names, Columns: []Metric{P50, QueueP50, ServiceP50, SendP50}})
		}
		e.Charts = append(e.Charts, Figure{Name: anchor(t.name), Caption: t.name + ": mean latency and its parts; lower is better",
			Stacks: &Stacks{Loads: []string{loadOne, loadMany}, Systems: names, Total: Mean, Parts: parts}})
	}
	for i := range e.Systems {
		if s := &e.Systems[i]; i == 0 {
			s.NoStore, s.TCP, s.Flags, s.Probed = true, true, uring, true
		} else {
			s.Of, s.Probed = e.Systems[0].Name, true
		}
	}
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
		Fresh: true, Apart: true, Loads: bothLoads(), take: takeProbed,
	}
	for _, t := range transports {
		never := t.name + neverAttached
		e.Systems = append(e.Systems,
			System{Name: never, NoStore: true, TCP: true, Flags: uring, Way: t.raw},
			System{Name: t.name + attached, Of: never, Way: t.raw, Probed: true},
			System{Name: t.name + detachedAgain, Of: never, Way: t.raw})
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
		Apart: true, Loads: bothLoads(), take: takePrograms,
	}
	for i, t := range transports {
		s := System{Name: t.name, Way: t.raw, NoStore: true, TCP: true, Flags: uring}
		if i > 0 {
			s = System{Name: t.name, Way: t.raw, Of: transports[0].name}
		}
		e.Systems = append(e.Systems, s)
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
