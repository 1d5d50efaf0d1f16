package load

import (
	"errors"
	"flag"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseArgs(t *testing.T) {
	const a, b = "causalmesh:unix:/run/a.sock", "causalmesh:tcp:127.0.0.1:7200"
	o, err := ParseArgs(strings.Fields("--target " + a + " -target " + b + ` --roam 0.25 --read-ratio 0.5 --keys 10
		--dist uniform --value-size 100 --conns 4 --depth 8 --rate 1000 --duration 3s --warmup 1s --timeout 2s
		--server-pid 1 --server-pid 2 --threads 2 --past 7 --preload --run 1 --spin --seed 9 --json`))
	if err != nil {
		t.Fatal(err)
	}
	o.system, o.addresses, o.distribution = nil, nil, nil
	if want := (Options{
		Targets: []string{a, b}, Conns: 4, Depth: 8, Roam: 0.25, ReadRatio: 0.5, Keys: 10, Distribution: "uniform",
		ValueBytes: 100, Rate: 1000, Duration: 3 * time.Second, WarmUp: time.Second, Timeout: 2 * time.Second,
		ServerPIDs: []int{1, 2}, Threads: 2, Past: 7, Preload: true, Run: 1, Spin: true, Seed: 9, JSON: true,
	}); !reflect.DeepEqual(o, want) {
		t.Errorf("got %+v\nwant %+v", o, want)
	}
	if o, err = ParseArgs([]string{"--target", a, "--target", b}); err != nil || o.Conns != 2 || o.Depth != 1 {
		t.Errorf("%+v, %v: want a connection for each target", o, err)
	}
}

// TestBadArgs: errors name the flag and say what to write.
func TestBadArgs(t *testing.T) {
	good := "--target causalmesh:unix:x "
	for _, c := range []struct{ args, names string }{
		{"", "--target: missing; write causalmesh, redis, "},
		{"--target etcd:unix:x", `no system "etcd"; write causalmesh, redis, memcached, clientlib or gomap`},
		{"--target causalmesh", "write causalmesh:unix:PATH"},
		{"--target causalmesh:unix:", "write causalmesh:unix:PATH"},
		{"--target causalmesh:udp:x", "write causalmesh:unix:PATH, causalmesh:tcp:HOST:PORT, causalmesh:shm:PATH or causalmesh:direct:PATH"},
		{"--target causalmesh:shm:", "write causalmesh:unix:PATH"},
		{"--target redis:shm:x", "write redis:unix:PATH or redis:tcp:HOST:PORT"},
		{"--target gomap", "write gomap:local"},
		{"--target gomap:local:x", "write gomap:local"},
		{"--target gomap:unix:x", "write gomap:local"},
		{"--target gomap:local --target gomap:local", "there is one map"},
		{good + "--target causalmesh:shm:x", "another one is of causalmesh over unix or tcp; use targets of one system, driven in one way"},
		{"--target causalmesh:shm:x --spin", "--spin: causalmesh over shm or direct is not driven over raw sockets"},
		{good + "--run 2", "--run: operations of causalmesh over unix or tcp"},
		{"--target causalmesh:shm:x --run 0", "--run: 0; use 1 to 10000"},
		{"--target causalmesh:shm:x --run 10001", "--run"},
		{"--target causalmesh:shm:x --run 2 --read-ratio 1 --rate 5", "leave --rate away"},
		{"--target causalmesh:shm:x --run 2 --read-ratio 0.5", "use --read-ratio 0 or 1"},
		{"--target causalmesh:direct:x --own-writes 8", "causalmesh over shm or direct has no own writes in flight that could be seen; use causalmesh over unix or tcp"},
		{good + "--target redis:unix:x", "another one is of causalmesh"},
		{good + "--conns -1", "--conns"},
		{good + "--target causalmesh:unix:y --conns 1", "--conns: 1 for 2 targets"},
		{good + "--depth 0", "--depth"},
		{good + "--conns 1048577", "--depth"},
		{good + "--conns 4000000000 --depth 4000000000", "--depth"},
		{good + "--roam 0.5", "--roam: there is one target only"},
		{good + "--target causalmesh:unix:y --roam 1.5", "--roam: 1.5; use 0 to 1"},
		{good + "--read-ratio 2", "--read-ratio"},
		{good + "--read-ratio NaN", "--read-ratio"},
		{good + "--rate -1", "--rate"},
		{good + "--threads 0", "--threads"},
		{good + "--threads 2 --conns 1", "--threads: 2 with 1 connections to 1 targets"},
		{good + "--past -1", "--past"},
		{good + "--own-writes -1", "--own-writes"},
		{good + "--unjoined", "give --own-writes, too"},
		{good + "--own-writes 8 --rate 5", "leave --rate away"},
		{good + "--own-writes 8 --keys 1", "use 2 keys or more"},
		{good + "--own-writes 64 --conns 16 --depth 1024", "use at most 1048576 in all"},
		{"--target redis:unix:x --own-writes 8", "redis over unix or tcp has no own writes"},
		{good + "--value-size -1", "--value-size"},
		{good + "--keys 0", "--dist"},
		{good + "--dist zipf", "zipf:1.0"},
		{good + "--duration 0s", "--duration"},
		{good + "--warmup -1s", "--warmup"},
		{good + "--timeout 0s", "--timeout"},
		{good + "--server-pid x", "-server-pid"},
		{good + "--seed -1", "-seed"},
		{good + "--nonsense", "loadgen --help"},
		{good + "fast", `unexpected argument "fast"`},
	} {
		_, err := ParseArgs(strings.Fields(c.args))
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s\ngot  %v\nwant %s", c.args, err, c.names)
		}
	}
	if _, err := ParseArgs([]string{"--help"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help gives %v", err)
	}
}

// TestUsage: the help names every flag and every system, and its examples parse.
func TestUsage(t *testing.T) {
	var b strings.Builder
	Usage(&b)
	text := b.String()
	var o Options
	flagsFor(&o).VisitAll(func(f *flag.Flag) {
		if !strings.Contains(text, "\n  -"+f.Name) {
			t.Errorf("no word about -%s", f.Name)
		}
	})
	if !strings.Contains(text, "\nExit codes: 0 ") {
		t.Error("no word about exit codes")
	}
	for _, s := range systems {
		if !strings.Contains(text, s.name) {
			t.Errorf("no word about %s", s.name)
		}
	}
	examples := 0
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\\\n", ""), "\n") {
		words := strings.Fields(line)
		if !strings.HasPrefix(line, "    loadgen ") {
			continue
		}
		examples++
		if _, err := ParseArgs(words[1:]); err != nil {
			t.Errorf("%s\n%v", line, err)
		}
	}
	if examples < 4 {
		t.Errorf("%d examples found", examples)
	}
}

func TestKeyspace(t *testing.T) {
	k := newKeyspace(1001)
	seen := map[string]bool{}
	for rank := range 1001 {
		key := k.key(rank)
		if len(key) != keyBytes || seen[key] {
			t.Fatalf("key %d is %q", rank, key)
		}
		seen[key] = true
	}
	if first, last := k.key(0), k.key(1000); first != "k00000000000" || last != "k00000001000" {
		t.Errorf("keys from %s to %s", first, last)
	}
	if n := testing.AllocsPerRun(100, func() { _ = k.key(77) }); n != 0 {
		t.Errorf("%v allocations per key", n)
	}
}
