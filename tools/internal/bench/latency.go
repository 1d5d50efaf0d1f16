package bench

import (
	"fmt"
	"strconv"

	"causalmesh/bpf"
)

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

const (
	withLibrary = ", client library"
	spinning    = ", client that spins"
)

// uring are flags of nodes that probes can see.
var uring = []string{"--io", "uring"}

// bothLoads are reads one at a time and many at once.
func bothLoads() []Load {
	return []Load{{Name: loadOne, Flags: one("1")}, {Name: loadMany, Flags: many("1")}}
}

func breakdown() Experiment {
	e := Experiment{
		ID: "breakdown", Title: "Where the time goes",
		Asks: "Clients read keys that the node has, while probes are attached. What the client measures is split up by what the kernel " +
			"sees of the very same requests, into means: means of parts add up to the mean of the whole, medians do not.",
		Loads: bothLoads(), take: takeProbed,
	}
	e.Loads[0].Name, e.Loads[1].Name = loadOne, loadMany
	for i, t := range transports {
		raw := System{Name: t.name, Way: t.raw, Probed: true}
		if i == 0 {
			raw.NoStore, raw.TCP, raw.Flags = true, true, uring
		} else {
			raw.Of = transports[0].name
		}
		spin := System{Name: t.name + spinning, Of: transports[0].name, Way: t.raw, Client: []string{"--spin"}, Probed: true}
		library := System{Name: t.name + withLibrary, Of: transports[0].name, Way: t.library, Probed: true}
		e.Systems = append(e.Systems, raw, spin, library)
		var names []string
		for _, s := range e.Systems[len(e.Systems)-3:] {
			names = append(names, s.Name)
		}
		e.Charts = append(e.Charts, Figure{Name: string(anchor(t.name)), Caption: t.name + ": mean latency and its parts; lower is better",
			Stacks: &Stacks{Loads: []string{loadOne, loadMany}, Systems: names, Total: Mean, Parts: []Metric{Queue, Service, Client}}})
	}
	for _, load := range []string{loadOne, loadMany} {
		e.Tables = append(e.Tables,
			Table{Load: load, Caption: "Means, " + load, Columns: []Metric{Mean, Queue, Service, Client}},
			Table{Load: load, Caption: "Medians, " + load, Columns: []Metric{P50, QueueP50, ServiceP50}})
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
			"after they were detached again. Each round starts nodes of its own, one ring for each transport.",
		Fresh: true, Loads: bothLoads(), take: takeProbed,
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
		Loads: bothLoads(), take: takePrograms,
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

func readLatencies(d *Data) []string {
	return []string{fmt.Sprintf("Each figure is the median of %d rounds, keys "+strconv.Itoa(valueBytes), d.Plan.Rounds)}
}

func runLatencies(*Data) []string { return nil }
