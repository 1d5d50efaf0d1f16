package bench

import (
	"strconv"
	"strings"
	"time"
)

const (
	// sizeKeys is how many keys there are where values grow: as many as fit in memory.
	sizeKeys = 1000
	// eachKey is roughly how long it takes to write one, for the progress that is shown.
	eachKey = 10 * time.Microsecond
)

// growth has one thing grow at a time, each at servers of its own.
func growth(p Plan) Experiment {
	e := Experiment{
		ID: "growth", Title: "Cost as work grows",
		Asks: "What does a read cost as there are more keys, larger values, a longer past of the session, more of its own writes " +
			"in flight, or more connections? One thing grows at a time; the rest is one session on one connection.",
		Note: "causalmesh has no database below here (`--store mem`), so that filling it takes no longer than filling the others. " +
			"Where values grow there are " + grouped(sizeKeys) + " keys. Past and own writes are known to causalmesh " +
			"alone, and how many own writes are in flight the raw driver alone can see. With several connections each has a session that asks as fast as it can, " +
			"so latency is how long all of them wait for each other on this machine's processors; what a connection costs is seen in the CPU time. Direct reads and those of the map are timed in " +
			"runs of 100; the map has no server, and a direct read none that does anything.",
		Rounds: p.Growth.Rounds, Grows: true, Bare: true,
		Systems: []System{
			{Name: nameUnix, NoStore: true}, {Name: nameShm, Of: nameUnix, Way: "causalmesh:shm"},
			{Name: nameDirect, Of: nameUnix, Way: "causalmesh:direct", Client: manyReads},
			{Name: nameRedis, Kind: kindRedis}, {Name: nameMemcached, Kind: kindMemcached, Flags: []string{"-m", "4096"}},
			{Name: nameMap, Kind: kindMap, Client: manyReads},
		},
	}
	e.grow(loadKeys, "keys", p.Growth.Keys, func(n int) Load {
		return Load{Fill: []string{"--keys", strconv.Itoa(n)}, Flags: one("1"), expect: time.Duration(n) * eachKey / time.Duration(e.Rounds)}
	})
	e.grow(loadSizes, "bytes", p.Growth.Sizes, func(n int) Load {
		return Load{Fill: []string{"--keys", strconv.Itoa(sizeKeys), "--value-size", strconv.Itoa(n)}, Flags: one("1")}
	})
	same := []string{"--keys", strconv.Itoa(p.Keys)}
	e.grow(loadPast, "operations before", p.Growth.Pasts, func(n int) Load {
		return Load{Fill: same, Flags: one("1", "--past", strconv.Itoa(n)), Systems: []string{nameUnix, nameShm, nameDirect}, expect: time.Duration(n) * eachKey}
	})
	e.grow(loadOwn, "own writes", p.Growth.Own, func(n int) Load {
		return Load{Fill: same, Flags: one("1", "--own-writes", strconv.Itoa(n)), Systems: []string{nameUnix}, Writes: true}
	})
	e.grow(loadConns, "connections", p.Growth.Conns, func(n int) Load {
		return Load{Fill: same, Flags: []string{"--conns", strconv.Itoa(n), "--depth", "1", "--read-ratio", "1"}}
	})
	for i := range e.Loads {
		l := &e.Loads[i]
		l.Flags = append(l.Flags, "--duration", seconds(p.Growth.Seconds).String(), "--warmup", seconds(p.Growth.WarmUp).String())
		l.expect += seconds(p.Growth.Seconds+p.Growth.WarmUp) + aroundLoad
	}
	own := &e.Tables[3]
	own.Wide, own.Columns = false, append([]Metric{OwnAtBegin, OwnAtEnd}, own.Columns...)
	// Latency is not what grows with connections.
	e.Charts = append(e.Charts, Figure{Name: loadConns + "-cpu", Caption: "CPU of the servers for each read, by connections, each run; lower is better",
		Lines: &Lines{Load: loadConns, XTitle: "connections", YTitle: "server CPU, µs/operation", LogX: true, Metrics: []Metric{ServerCPU}}})
	return e
}

// grow adds a series of loads, with its table and its chart.
func (e *Experiment) grow(name, x string, values []int, load func(n int) Load) {
	for _, n := range values {
		l := load(n)
		l.Name, l.X = name, float64(n)
		e.Loads = append(e.Loads, l)
	}
	e.Tables = append(e.Tables, Table{Load: name, Caption: "By " + name, X: x, Columns: []Metric{P50, ServerCPU}, Wide: true})
	e.Charts = append(e.Charts, Figure{Name: strings.ReplaceAll(name, " ", "-"), Caption: "p50 of reads by " + name + ", each run; lower is better", Lines: &Lines{
		Load: name, XTitle: x, YTitle: "p50, µs", LogX: values[0] > 0, LogY: values[0] > 0, Metrics: []Metric{P50}}})
}
