package load

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"causalmesh/causal/wire"
	"causalmesh/tools/internal/sampler"
)

// Options say what load to make. Each is a flag of loadgen under the name in its
// comment.
type Options struct {
	Targets      []string      // target
	Conns        int           // conns: of all targets together; 0: one per target
	Depth        int           // depth: sessions per connection
	Threads      int           // threads: that drive connections
	Roam         float64       // roam: probability per operation
	ReadRatio    float64       // read-ratio
	Keys         int           // keys
	Distribution string        // dist
	ValueBytes   int           // value-size
	Rate         float64       // rate: operations per second; 0: closed loop
	Duration     time.Duration // duration
	WarmUp       time.Duration // warmup
	Timeout      time.Duration // timeout: of one operation
	ServerPIDs   []int         // server-pid
	Preload      bool          // preload
	Past         int           // past: operations of each session before the load
	OwnWrites    int           // own-writes: in flight at each read
	Unjoined     bool          // unjoined: the same writes, but not the session's own
	Spin         bool          // spin: drivers do not sleep
	Run          int           // run: operations back to back for each sample of latency
	Seed         uint64        // seed
	JSON         bool          // json

	system       *system
	addresses    []address // of Targets
	targets      []Target  // of systems that are used through a library
	distribution *sampler.Distribution
	virtual      bool // in tests: on a virtual clock, which the kernel's timers do not know
}

// The bounds of options.
const (
	maxSessions   = 1 << 20
	maxValueBytes = 64 << 20
	maxRate       = 1e7
	maxDuration   = 24 * time.Hour
	maxThreads    = 64
	maxPast       = 1 << 20
	maxRun        = 10_000
)

func (o *Options) sessions() int { return o.Conns * o.Depth }

// longest is what no latency exceeds.
func (o *Options) longest() time.Duration { return o.WarmUp + o.Duration + o.Timeout + time.Second }

const usageHead = `loadgen puts a causalmesh cluster, or a plain cache beside it, under load and reports
throughput and latency.

usage: loadgen --target TARGET [flags]

  One node, 4 connections with 8 sessions each, as fast as they go (closed loop):
    loadgen --target causalmesh:unix:run/cluster/node-0.sock --preload --keys 1000 --conns 4 --depth 8
  The same load on a plain cache:
    loadgen --target redis:unix:/run/redis.sock --preload --keys 1000 --conns 4 --depth 8
  What an operation costs the server (the pids are in "meshctl cluster status"):
    loadgen --target causalmesh:unix:run/cluster/node-0.sock --preload --keys 1000 --server-pid 4711
  Latency at a given rate, counted from when each operation was due (open loop):
    loadgen --target causalmesh:tcp:127.0.0.1:7200 --conns 4 --depth 32 --rate 20000
  Workflows that roam among three nodes, and a machine-readable result:
    loadgen --target causalmesh:unix:run/cluster/node-0.sock \
            --target causalmesh:unix:run/cluster/node-1.sock \
            --target causalmesh:unix:run/cluster/node-2.sock --roam 0.3 --json
  Does a read cost more after a long past, or with own writes in flight?
    loadgen --target causalmesh:unix:run/cluster/node-0.sock --preload --keys 1000 --past 10000
    loadgen --target causalmesh:unix:run/cluster/node-0.sock --preload --keys 1000 --read-ratio 1 --own-writes 64
  What does a read cost that goes past the server, and what one of a map in this process?
    loadgen --target causalmesh:direct:run/cluster/node-0.sock --preload --keys 1000 --read-ratio 1 --run 100
    loadgen --target gomap:local --preload --keys 1000 --read-ratio 1 --run 100

A target is one of
%scausalmesh, redis and memcached are all driven by the same code over raw sockets, so that
servers are compared and not client libraries. clientlib is causalmesh through the public
client library, and so is causalmesh in shared memory: shm passes requests and replies
through it, direct has the client read the server's own table. Their path is that of the
server's Unix socket. gomap is a Go map under a lock in this process, a floor: what a
program could have without any server and any guarantee. All targets of a run are of one
system, driven in one way.

Without --preload, reads of keys that nobody wrote are counted as absent. The database
that "meshctl cluster up" embeds is slow: with it, preload few keys.

With --own-writes N, each read is that of a workflow whose N parallel branches have just
joined: each has written another key, all at once, on the session's connection. These
writes are in no latency, throughput or bytes, but in the CPU time, which is then per
request. How many of them the session still knew to be in flight is reported. The writes
are a load, too, which reads feel: compare with --unjoined, the same load where the
session has nothing in flight, and use --conns 1 --depth 1 for reads that do not wait
behind the writes of other sessions.

With --run N, a session does N operations back to back, and their mean is one sample of
latency: to read the clock takes as long as an operation that never leaves this process.
Percentiles are then those of means, which hide single slow operations. If an operation
fails its run ends there and counts as one error.

Exit codes: 0 there is a result (a warning says how many operations failed, if any
did); 1 there is none, or no operation succeeded; 2 the command line is invalid.

flags:
`

// flagsFor returns the flags that set o, with what o holds as defaults.
func flagsFor(o *Options) *flag.FlagSet {
	f := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	f.SetOutput(io.Discard) // the caller reports errors, once
	f.Func("target", "`server` under load; repeat it for several nodes of a cluster", func(text string) error {
		o.Targets = append(o.Targets, text)
		return nil
	})
	f.IntVar(&o.Conns, "conns", o.Conns, "`number` of connections, spread over the targets; 0: one for each target")
	f.IntVar(&o.Depth, "depth", o.Depth, "`number` of sessions that share a connection, each with one operation under way")
	f.IntVar(&o.Threads, "threads", o.Threads, "`number` of threads that drive connections over raw sockets; libraries have as many as there are processors")
	f.Float64Var(&o.Roam, "roam", o.Roam, "`probability` that a session moves to another target before an operation")
	f.Float64Var(&o.ReadRatio, "read-ratio", o.ReadRatio, "`share` of reads among the operations, from 0 to 1; the rest are writes")
	f.IntVar(&o.Keys, "keys", o.Keys, "`number` of keys, of 12 bytes each")
	f.StringVar(&o.Distribution, "dist", o.Distribution, "`distribution` of keys: uniform, or zipf:S with exponent S")
	f.IntVar(&o.ValueBytes, "value-size", o.ValueBytes, "`bytes` of each value")
	f.Float64Var(&o.Rate, "rate", o.Rate, "`operations` per second that fall due, at random times (open loop); 0: as fast as the sessions go (closed loop)")
	f.DurationVar(&o.Duration, "duration", o.Duration, "measured `time`")
	f.DurationVar(&o.WarmUp, "warmup", o.WarmUp, "`time` of load before that")
	f.DurationVar(&o.Timeout, "timeout", o.Timeout, "longest `time` of one operation, an error from then on")
	f.Func("server-pid", "`process` whose CPU time is counted; repeat it for several, which are summed", func(text string) error {
		pid, err := strconv.Atoi(text)
		if err != nil || pid < 1 {
			return errors.New("want the number of a process")
		}
		o.ServerPIDs = append(o.ServerPIDs, pid)
		return nil
	})
	f.BoolVar(&o.Preload, "preload", o.Preload, "write every key once before anything else, and wait until all targets have them to read")
	f.IntVar(&o.Past, "past", o.Past, "`number` of operations that each session does before the load, not measured")
	f.IntVar(&o.OwnWrites, "own-writes", o.OwnWrites, "`number` of own writes that a session of causalmesh has in flight when it begins a read (see above)")
	f.BoolVar(&o.Unjoined, "unjoined", o.Unjoined, "with -own-writes: the branches write, and are not joined")
	f.IntVar(&o.Run, "run", o.Run, "`number` of operations that a session does back to back for one sample of latency (see above)")
	f.BoolVar(&o.Spin, "spin", o.Spin, "look for replies again and again instead of sleeping until there are some: latency without the waking of this process")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "`seed` of the sessions' choices")
	f.BoolVar(&o.JSON, "json", o.JSON, "print the result as JSON")
	return f
}

func defaults() Options {
	return Options{
		Depth: 1, Threads: 1, ReadRatio: 0.9, Keys: 100_000, Distribution: "zipf:1.0", ValueBytes: 8,
		Duration: 10 * time.Second, WarmUp: 2 * time.Second, Timeout: 5 * time.Second, Run: 1, Seed: 1,
	}
}

// ParseArgs reads a command line. flag.ErrHelp asks for Usage.
func ParseArgs(args []string) (Options, error) {
	o := defaults()
	f := flagsFor(&o)
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, fmt.Errorf("%w: %w; see loadgen --help", ErrUsage, err)
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%w: unexpected argument %q; everything is a flag: see loadgen --help", ErrUsage, f.Arg(0))
	}
	return o, o.check()
}

// Usage writes what loadgen --help shows.
func Usage(w io.Writer) {
	fmt.Fprintf(w, usageHead, forms())
	o := defaults()
	f := flagsFor(&o)
	f.SetOutput(w)
	f.PrintDefaults()
}

// check reports everything that is wrong, and fills in what follows from the rest.
func (o *Options) check() error {
	var faults []error
	bad := func(name, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: --%s: %s", ErrUsage, name, fmt.Sprintf(format, args...)))
	}
	if len(o.Targets) == 0 {
		bad("target", "missing; write %s, and how to reach it, as in %s", systemNames(), waysTo("causalmesh"))
	}
	if err := o.resolve(); err != nil {
		faults = append(faults, err)
	}
	if o.Conns == 0 {
		o.Conns = len(o.Targets)
	}
	if o.Conns < len(o.Targets) {
		bad("conns", "%d for %d targets; use at least one for each", o.Conns, len(o.Targets))
	}
	if o.Depth < 1 || o.Conns > maxSessions || o.Depth > maxSessions || o.sessions() > maxSessions {
		bad("depth", "%d with %d connections; use at least 1, and at most %d sessions in all", o.Depth, o.Conns, maxSessions)
	}
	if o.Threads > 1 && o.Conns < o.Threads*len(o.Targets) {
		bad("threads", "%d with %d connections to %d targets; each thread needs one to each", o.Threads, o.Conns, len(o.Targets))
	}
	if o.OwnWrites > 0 {
		o.checkOwnWrites(bad)
	}
	if o.Run > 1 {
		o.checkRun(bad)
	}
	if o.Spin && o.system != nil && o.system.codec == nil {
		bad("spin", "%s is not driven over raw sockets, and waits as its library does; leave it away", o.system)
	}
	if o.Unjoined && o.OwnWrites == 0 {
		bad("unjoined", "there are no branches; give --own-writes, too")
	}
	if o.Roam > 0 && len(o.Targets) < 2 {
		bad("roam", "there is one target only; give another --target, or leave --roam away")
	}
	for _, s := range []struct {
		name                string
		value, least, limit float64
	}{
		{"roam", o.Roam, 0, 1}, {"read-ratio", o.ReadRatio, 0, 1}, {"rate", o.Rate, 0, maxRate},
		{"value-size", float64(o.ValueBytes), 0, maxValueBytes}, {"threads", float64(o.Threads), 1, maxThreads},
		{"past", float64(o.Past), 0, maxPast}, {"own-writes", float64(o.OwnWrites), 0, wire.MaxOwnWrites},
		{"run", float64(o.Run), 1, maxRun},
	} {
		if math.IsNaN(s.value) || s.value < s.least || s.value > s.limit {
			bad(s.name, "%v; use %v to %v", s.value, s.least, s.limit)
		}
	}
	for _, s := range []struct {
		name         string
		value, least time.Duration
	}{{"duration", o.Duration, time.Millisecond}, {"warmup", o.WarmUp, 0}, {"timeout", o.Timeout, time.Millisecond}} {
		if s.value < s.least || s.value > maxDuration {
			bad(s.name, "%v; use %v to %v", s.value, s.least, maxDuration)
		}
	}
	var err error
	if o.distribution, err = sampler.Parse(o.Distribution, o.Keys); err != nil {
		bad("dist", "%v", err)
	}
	return errors.Join(faults...)
}

// checkOwnWrites: see the package's doc on why each of these is.
func (o *Options) checkOwnWrites(bad func(name, format string, args ...any)) {
	const name = "own-writes"
	if o.system != nil && !o.system.sessions {
		bad(name, "%s has no own writes in flight that could be seen; use %s", o.system, &systems[0])
	}
	if o.Rate > 0 {
		bad(name, "they take time that no schedule knows; leave --rate away")
	}
	if o.Keys < 2 {
		bad(name, "they go to other keys than the read; use 2 keys or more")
	}
	if o.sessions()*(1+o.OwnWrites) > maxSessions {
		bad(name, "%d for each of %d sessions; use at most %d in all", o.OwnWrites, o.sessions(), maxSessions)
	}
}

// checkRun: see the package's doc on what a series is.
func (o *Options) checkRun(bad func(name, format string, args ...any)) {
	const name = "run"
	if o.system != nil && o.system.codec != nil {
		bad(name, "operations of %s take long enough to be timed one by one; leave it away", o.system)
	}
	if o.Rate > 0 {
		bad(name, "what falls due by itself is not done back to back; leave --rate away")
	}
	if o.ReadRatio > 0 && o.ReadRatio < 1 {
		bad(name, "a mean of reads and writes tells of neither; use --read-ratio 0 or 1")
	}
}

// describe tells the load in a few words.
func (o *Options) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.4g %% reads, %d keys %s, values of %d bytes", 100*o.ReadRatio, o.Keys, o.Distribution, o.ValueBytes)
	if o.Roam > 0 {
		fmt.Fprintf(&b, ", roaming %.4g %%", 100*o.Roam)
	}
	if o.Past > 0 {
		fmt.Fprintf(&b, ", after a past of %d operations", o.Past)
	}
	if o.OwnWrites > 0 {
		how := "joined"
		if o.Unjoined {
			how = "not joined"
		}
		fmt.Fprintf(&b, ", each read after %d writes, %s", o.OwnWrites, how)
	}
	return b.String()
}
