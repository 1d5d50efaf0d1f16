package bench

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/bpf"
	"causalmesh/tools/internal/probe"
	"causalmesh/tools/internal/process"
)

// TestJudgeMore: a difference is that of each round, is shown in the quantity's unit, and may
// be negative.
func TestJudgeMore(t *testing.T) {
	for name, c := range map[string]struct {
		with, without []float64
		held          bool
		measured      string
	}{
		"by round":   {[]float64{62_000, 102_000, 41_000}, []float64{60_000, 100_000, 40_000}, true, "2 (1 to 2)"},
		"too much":   {[]float64{62_600}, []float64{60_000}, false, "2.6"},
		"just":       {[]float64{62_500}, []float64{60_000}, true, "2.5"},
		"less":       {[]float64{59_000}, []float64{60_000}, true, "-1"},
		"to nothing": {[]float64{2000}, []float64{0}, true, "2"},
	} {
		r := sampled(loadOne, 0, P50, map[string][]float64{"with": c.with, "without": c.without})
		v := r.judge(Bound{Metric: P50, Load: loadOne, System: "with", Against: "without", More: true, AtMost: mostP50})
		if !v.Measured || v.Held != c.held || v.measured() != c.measured || v.limits() != "≤ 2.5 µs more" {
			t.Errorf("%s: bound %s, measured %s: %+v", name, v.limits(), v.measured(), v)
		}
	}
	r := sampled(loadOne, 0, P50, map[string][]float64{"with": {1}})
	if v := r.judge(Bound{Metric: P50, Load: loadOne, System: "with", Against: "without", More: true, AtMost: 1}); v.Measured {
		t.Errorf("with nothing to compare to: %+v", v)
	}
}

// probed is data of one transport: what probes cost one at a time is held, and many at
// once it is not; after them there is something left.
func probed() *Data {
	t := transports[0]
	three := func(never, on, off float64) map[string][]float64 {
		return map[string][]float64{t.name + neverAttached: {never}, t.name + attached: {on}, t.name + detachedAgain: {off}}
	}
	overhead := sampled(loadOne, 0, P50, three(60_000, 61_000, 66_000))
	for m, values := range map[Metric]map[string][]float64{BothCPU: three(0.75, 0.85, 0.75), NodeCPU: three(0.35, 0.36, 0.35)} {
		overhead.Samples = append(overhead.Samples, sampled(loadMany, 0, m, values).Samples...)
	}
	overhead.Experiment = "overhead"
	breakdown := &Result{Experiment: t.id}
	for system, client := range map[string]float64{spinning: 5_000, sleeping: 30_000, withLibrary: 31_500} {
		breakdown.Samples = append(breakdown.Samples, Sample{Round: 1, Load: loadOne, System: system, Values: map[Metric]float64{
			Mean: 40_000 + client, WakeUp: 31_000, Queue: 30_000, Service: 8_000, Send: 2_000, Client: client,
		}})
	}
	return &Data{Format: format, Plan: latencies.Quick, Results: []Result{*breakdown, *overhead}}
}

// TestLatencyPage: it is made of the data, and says which bounds were held.
func TestLatencyPage(t *testing.T) {
	page := latencies.render(probed())
	for _, want := range []string{
		"<!-- Made by `make bench-probes` from latency/data.json; `go run ./tools/bench -page latency -render`",
		"| [Unix socket, one at a time: p50 with probes](#what-probes-cost) | ≤ 2.5 µs more | 1 | **held** |",
		"| [Unix socket, one at a time: p50 with probes, ratio](#what-probes-cost) | ≤ 1.20 | 1.02 | **held** |",
		"with probes](#what-probes-cost) | ≤ 0.05 µs/operation more | 0.1 | **missed** |",
		"CPU of the node with probes](#what-probes-cost) | ≤ 0.05 µs/operation more | 0.01 | **held** |",
		"p50 after probes, ratio](#what-probes-cost) | 0.95 to 1.05 | 1.10 | **missed** |",
		"CPU of client and node after probes, ratio](#what-probes-cost) | 0.95 to 1.05 | 1.00 | **held** |",
		"| [TCP, one at a time: p50 with probes](#what-probes-cost) | ≤ 2.5 µs more | – | not measured |",
		"| client, µs, more than client that sleeps |",
		"| client that spins | 45 | 31 | 30 | 8 | 2 | 5 | -25 |",
		"| client that sleeps | 70 | 31 | 30 | 8 | 2 | 30 |  |",
		"](latency/unix.svg)",
		"make bench-probes",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say: %s", want)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
	stacks := probed().result("unix").stacks(&latencies.Experiments(latencies.Full)[0].Charts[0])
	if len(stacks.Panels) != 2 || len(stacks.Panels[0].Bars) != 3 || len(stacks.Panels[1].Bars) != 0 {
		t.Fatalf("%+v", stacks)
	}
	bar, sum := stacks.Panels[0].Bars[1], 0.0
	for _, p := range bar.Parts {
		sum += p.Value
	}
	if bar.Total != 70 || sum != bar.Total {
		t.Errorf("%+v", bar)
	}
}

// TestReadsIn: figures are taken only if the kernel has seen, and timed, all that the client
// has sent.
func TestReadsIn(t *testing.T) {
	times := func(n uint64) probe.Times { return probe.Times{Count: n, Mean: 1000 * n} }
	seen := func(requests, queue, service, send uint64, l bpf.Losses) *probe.Latency {
		return &probe.Latency{Losses: l, Operations: []probe.Operation{
			{Name: "handshake", Requests: 1}, {Name: "read", Requests: requests, Queue: times(queue), Service: times(service), Send: times(send)},
		}}
	}
	o, err := readsIn(seen(7, 7, 7, 7, bpf.Losses{Outliers: 1}), 7)
	if err != nil || o.Name != "read" {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := readsIn(seen(7, 7, 7, 0, bpf.Losses{}), 7); err != nil {
		t.Errorf("in shared memory: %+v, %v", o, err)
	}
	for name, l := range map[string]*probe.Latency{
		"one more": seen(8, 8, 8, 8, bpf.Losses{}), "one less": seen(6, 6, 6, 6, bpf.Losses{}),
		"one more, untimed": seen(8, 7, 7, 7, bpf.Losses{}),
		"untimed":           seen(7, 7, 6, 6, bpf.Losses{}), "unready": seen(7, 6, 7, 7, bpf.Losses{}), "unsent": seen(7, 7, 7, 6, bpf.Losses{}),
		"missed": seen(7, 7, 7, 7, bpf.Losses{Missed: 1}), "none": {},
	} {
		if o, err := readsIn(l, 7); err == nil {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

// TestSplit: the parts are the whole.
func TestSplit(t *testing.T) {
	values := map[Metric]float64{Mean: 60_000}
	splitOf(&probe.Operation{Queue: probe.Times{Mean: 30_000}, Service: probe.Times{Mean: 5_000}, Send: probe.Times{Count: 1, Mean: 2_000}}, values)
	shared := map[Metric]float64{Mean: 3_000}
	splitOf(&probe.Operation{Queue: probe.Times{Mean: 1_000}, Service: probe.Times{Mean: 500}}, shared)
	if _, sent := shared[Send]; sent || shared[Client] != 1_500 {
		t.Errorf("in shared memory: %v", shared)
	}
	if values[Client] != 23_000 || values[Queue]+values[Service]+values[Send]+values[Client] != values[Mean] {
		t.Errorf("%v", values)
	}
}

// TestProcessorClock: the result lies between two readings of another clock, of this process
// and of another one.
func TestProcessorClock(t *testing.T) {
	between := func(what string, id process.Identity, other func() time.Duration, unit time.Duration) {
		t.Helper()
		least := other()
		clock, err := processorClock(id)
		// The parts of the user and of the system are rounded down.
		if most := other() + 2*unit; err != nil || clock < least || clock > most {
			t.Errorf("%s: %v, %v; want from %v to %v", what, clock, err, least, most)
		}
	}
	id, err := process.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const enough = 50 * time.Millisecond // to be seen in every unit
	rusage := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for rusage() < enough {
	}
	between("this process", id, rusage, time.Microsecond)

	busy := exec.Command("/bin/sh", "-c", "ulimit -t 60; while :; do :; done")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = busy.Process.Kill()
		_ = busy.Wait()
	}()
	if id, err = process.Identify(busy.Process.Pid); err != nil {
		t.Fatal(err)
	}
	ticks := func() time.Duration {
		used, err := process.CPUTime(id)
		if err != nil {
			t.Fatal(err)
		}
		return used
	}
	for ticks() < enough {
		time.Sleep(time.Millisecond)
	}
	between("another one", id, ticks, 10*time.Millisecond)
	if _, err := processorClock(process.Identity{PID: 1 << 22}); !errors.Is(err, ErrServer) {
		t.Errorf("of no process: %v", err)
	}
}

// TestTwoProcessors: with one only, that is said.
func TestTwoProcessors(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	if two, err := twoProcessors(); all.Count() > 1 && (err != nil || two[0] == two[1] || !all.IsSet(two[0]) || !all.IsSet(two[1])) {
		t.Errorf("%v, %v", two, err)
	}
	var last unix.CPUSet
	for i := range 1024 {
		if all.IsSet(i) {
			last.Zero()
			last.Set(i)
		}
	}
	if err := unix.SchedSetaffinity(0, &last); err != nil {
		t.Fatal(err)
	}
	if two, err := twoProcessors(); !errors.Is(err, ErrMissing) {
		t.Errorf("%v, %v", two, err)
	}
}
