package daemon

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"causalmesh/causal"
)

func parse(t *testing.T, args ...string) Config {
	t.Helper()
	cmd, err := ParseArgs(args, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cmd.Config
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "node.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// everyFlag sets each flag to something that is not its default.
func everyFlag(t *testing.T) []string {
	return []string{
		"-node-id", "1", "-peers", "a:1,b:2,c:3", "-listen-peer", ":2", "-listen-unix", "/run/cm.sock", "-listen-tcp", ":3",
		"-admin", "127.0.0.1:4", "-store", "redis+unix:///run/redis.sock?db=1", "-propagation", "two-round",
		"-ack", "replicated", "-io", "net", "-loops", "3", "-bpf", "on", "-bpf-pins", "/sys/fs/bpf/mesh", "-direct-uids", "1000,1001", "-max-memory", "512MiB", "-pending-bytes", "16MiB", "-key-bytes", "2KiB",
		"-value-bytes", "65536", "-max-conns", "10", "-cluster-key", keyFile(t, testKey), "-heartbeat", "50ms",
		"-link-timeout", "1s", "-tombstone-grace", "2h", "-drain-timeout", "3s", "-log-level", "WARN",
	}
}

// What -print-config prints is a file that gives the same settings.
func TestPrintedConfigIsTheSame(t *testing.T) {
	for name, args := range map[string][]string{"defaults": nil, "all": everyFlag(t)} {
		want := parse(t, args...)
		if name == "all" {
			d, w := reflect.ValueOf(DefaultConfig()), reflect.ValueOf(want)
			for i := range w.NumField() {
				if reflect.DeepEqual(d.Field(i).Interface(), w.Field(i).Interface()) {
					t.Errorf("%s has its default: no flag sets it, or this test does not", w.Type().Field(i).Name)
				}
			}
			if err := want.Check(); err != nil {
				t.Fatal(err)
			}
		}
		var b strings.Builder
		if _, err := want.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		got := parse(t, "-config", writeFile(t, b.String()))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: from\n%s\ngot  %+v\nwant %+v", name, b.String(), got, want)
		}
		if comments := strings.Count(b.String(), "\n# "); comments != reflect.TypeOf(want).NumField() {
			t.Errorf("%d comments for %d settings", comments, reflect.TypeOf(want).NumField())
		}
	}
}

func TestFlagsHavePrecedence(t *testing.T) {
	file := writeFile(t, "node-id = 2\npeers = [\"a:1\", \"b:2\", \"c:3\"]\nheartbeat = \"1s\"\nmax-memory = 1048576\n")
	c := parse(t, "-heartbeat", "100ms", "-config", file, "-ack", "replicated")
	if c.NodeID != 2 || len(c.Peers) != 3 || c.Heartbeat != 100*time.Millisecond || c.MaxMemory != 1<<20 || c.Ack != causal.AckReplicated {
		t.Fatalf("%+v", c)
	}
	c = parse(t, "-config", file, "-node-id", "0") // a flag that says the default
	if c.NodeID != 0 {
		t.Fatalf("node-id %d", c.NodeID)
	}
}

// Each error names the setting and says what to do.
func TestConfigErrors(t *testing.T) {
	good := []string{"-peers", "a:1,b:2", "-listen-tcp", ":0"}
	for _, c := range []struct {
		args []string
		file string
		want []string
	}{
		{args: []string{"-ack", "maybe"}, want: []string{"-ack", "local or replicated"}},
		{args: []string{"-node-id", "x"}, want: []string{"-node-id", "0 to 63"}},
		{args: []string{"-max-memory", "lots"}, want: []string{"-max-memory", "MiB"}},
		{args: []string{"-max-memory", "9000000000GiB"}, want: []string{"-max-memory", "MiB"}},
		{args: []string{"-no-such-flag"}, want: []string{"no-such-flag", "-help"}},
		{args: []string{"serve"}, want: []string{`"serve"`, "flags"}},
		{args: []string{"-config", "/nonexistent"}, want: []string{"config", "no such file"}},
		{file: "node-id = 1\nnodeid = 2\n", want: []string{"nodeid", "no such setting"}},
		{file: "heartbeat = \"soon\"\n", want: []string{"heartbeat", "soon"}},
		{file: "peers = [1, 2]\n", want: []string{"peers", "host:port"}},
		{file: "peers = \n", want: []string{"config", "line 1"}},
		{args: []string{"-node-id", "2"}, want: []string{"node-id", "use 0 to 1"}},
		{args: []string{"-peers", "a:1,a:1"}, want: []string{"peers", "listed twice"}},
		{args: []string{"-peers", "a:1,b"}, want: []string{"peers", "host:port"}},
		{args: []string{"-peers", "a:1,b:65536"}, want: []string{"peers", "b:65536", "up to 65535"}},
		{args: []string{"-listen-tcp", ":65536"}, want: []string{"listen-tcp", "up to 65535"}},
		{args: []string{"-admin", "localhost:-1"}, want: []string{"admin", "up to 65535"}},
		{args: []string{"-listen-peer", ":many"}, want: []string{"listen-peer", `"many"`}},
		{args: []string{"-listen-tcp", "a:7", "-admin", "a:7"}, want: []string{"admin: a:7", "listen-tcp listens there"}},
		{args: []string{"-listen-tcp", ":7", "-admin", "a:7"}, want: []string{"admin: a:7", "listen-tcp listens there (:7)"}},
		{args: []string{"-listen-tcp", "a:1"}, want: []string{"peers: a:1", "listen-tcp listens there"}},
		{args: []string{"-listen-peer", ":9", "-admin", ":9"}, want: []string{"listen-peer: :9", "admin listens there"}},
		{args: []string{"-listen-unix", "/" + strings.Repeat("x", 107)}, want: []string{"listen-unix", "108 bytes, at most 107"}},
		{args: []string{"-listen-tcp", ""}, want: []string{"listen-unix", "listen-tcp"}},
		{args: []string{"-io", "magic"}, want: []string{"io", "auto, uring or net"}},
		{args: []string{"-bpf", "yes"}, want: []string{"bpf", "auto, on or off"}},
		{args: []string{"-bpf-pins", "mesh"}, want: []string{"bpf-pins", "absolute path", "/sys/fs/bpf/causalmesh"}},
		{args: []string{"-loops", "0"}, want: []string{"loops", "use 1 to 64"}},
		{args: []string{"-store", "mysql://x"}, want: []string{"store", "redis://"}},
		{args: []string{"-peers", "", "-ack", "replicated"}, want: []string{"ack", "second node"}},
		{args: []string{"-heartbeat", "2s"}, want: []string{"link-timeout", "at least 6s"}},
		{args: []string{"-drain-timeout", "-1s"}, want: []string{"drain-timeout", "at least"}},
		{args: []string{"-max-conns", "0"}, want: []string{"max-conns", "at least 1"}},
		{args: []string{"-cluster-key", "/nonexistent"}, want: []string{"cluster-key", "urandom"}},
		{args: []string{"-cluster-key", keyFile(t, "short")}, want: []string{"cluster-key", "at least 16"}},
		{args: []string{"-pending-bytes", "1MiB"}, want: []string{"pending-bytes", "at least 2"}},
		{args: []string{"-max-memory", "4MiB"}, want: []string{"max-memory", "use at least 27MiB"}},
		{args: []string{"-value-bytes", "1GiB"}, want: []string{"value-bytes", "4MiB"}},
		{args: []string{"-key-bytes", "0"}, want: []string{"key-bytes", "64KiB"}},
	} {
		args := append(append([]string(nil), good...), c.args...)
		if c.file != "" {
			args = append(args, "-config", writeFile(t, c.file))
		}
		cmd, err := ParseArgs(args, nil)
		if err == nil {
			err = cmd.Config.Check()
		}
		if !errors.Is(err, ErrConfig) {
			t.Errorf("%v %q: %v, want ErrConfig", c.args, c.file, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v %q: %q does not say %q", c.args, c.file, err, want)
			}
		}
	}
	if _, err := ParseArgs([]string{"-help"}, nil); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-help: %v", err)
	}
}

// What may listen is not refused.
func TestGoodAddresses(t *testing.T) {
	for _, args := range [][]string{
		{"-listen-tcp", "127.0.0.1:0", "-admin", "127.0.0.1:0", "-listen-peer", "127.0.0.1:0"},
		{"-listen-tcp", ":65535", "-admin", "[::1]:http"},
		{"-listen-unix", "/" + strings.Repeat("x", 106)},
		{"-peers", "a:1,b:2", "-listen-peer", "c:1", "-listen-tcp", "a:1"},
		{"-peers", "a:1,b:2", "-listen-tcp", "b:2"}, // of another node
		{"-peers", "a:1", "-listen-tcp", "a:1"},     // a ring of one listens for no peers
	} {
		c := parse(t, args...)
		if err := c.Check(); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// Whatever passes Check, the core takes; and what the message for too little memory
// proposes is enough.
func TestMemorySettings(t *testing.T) {
	for _, replicas := range []int{1, 3, 64} {
		for _, value := range []Size{1, 1 << 10, 1 << 20, 4 << 20} {
			for memory := Size(0); memory < 8<<30; memory = max(4*memory, 1<<16) {
				c := DefaultConfig()
				c.ListenTCP, c.ValueBytes, c.MaxMemory = ":0", value, memory
				c.Peers = nil
				for i := range replicas {
					c.Peers = append(c.Peers, fmt.Sprint("h:", i))
				}
				if err := c.Check(); err != nil {
					_, after, found := strings.Cut(err.Error(), "use at least ")
					if !found {
						continue // 64 nodes with values of 4 MiB: not the memory
					}
					text, _, _ := strings.Cut(after, ",")
					if err := c.MaxMemory.Set(text); err != nil {
						t.Fatal(err)
					}
					if err := c.Check(); err != nil {
						t.Errorf("%d nodes, values of %v, %v as proposed for %v: %v", replicas, value, c.MaxMemory, memory, err)
					}
				}
				_, err := causal.NewServer(causal.Config{
					Replicas: replicas, Epoch: 1, MemoryBytes: int(c.cacheBytes()), Limits: c.limits(),
				}, causal.NewHeapTable())
				if err != nil {
					t.Errorf("%d nodes, values of %v, memory %v: %v", replicas, value, c.MaxMemory, err)
				}
			}
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "1": 1, "1KiB": 1 << 10, "3MiB": 3 << 20, "2GiB": 2 << 30, "1025": 1025, "4096KiB": 4 << 20} {
		var s, again Size
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s: %d, %v", text, s, err)
		}
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%d printed as %s: %d, %v", s, s, again, err)
		}
	}
	for _, text := range []string{"", "-1", "1.5GiB", "KiB", "1kb", "1KiBKiB", "99999999999999999999"} {
		var s Size
		if err := s.Set(text); err == nil {
			t.Errorf("%q: %d", text, s)
		}
	}
}

// The digest differs where nodes must agree, and nowhere else.
func TestDigest(t *testing.T) {
	base := parse(t, everyFlag(t)...)
	for name, c := range map[string]struct {
		change func(*Config)
		same   bool
	}{
		"peers":       {func(c *Config) { c.Peers = []string{"a:1", "c:3", "b:2"} }, false},
		"propagation": {func(c *Config) { c.Propagation = causal.OneRound }, false},
		"no store":    {func(c *Config) { c.Store = storeMem }, false},
		"value-bytes": {func(c *Config) { c.ValueBytes++ }, false},
		"key-bytes":   {func(c *Config) { c.KeyBytes++ }, false},
		"store URL":   {func(c *Config) { c.Store = "redis://elsewhere:1/1" }, true},
		"memory":      {func(c *Config) { c.MaxMemory++ }, true},
		"node":        {func(c *Config) { c.NodeID++ }, true},
	} {
		changed := base
		c.change(&changed)
		if same := changed.digest() == base.digest(); same != c.same {
			t.Errorf("%s: the same digest: %v, want %v", name, same, c.same)
		}
	}
}

// A variable has precedence over the file, and a flag over both.
func TestEnvironment(t *testing.T) {
	file := writeFile(t, "loops = 2\nmax-conns = 7\nheartbeat = \"1s\"\n")
	environ := []string{"HOME=/", "CAUSALMESHD_LOOPS=3", "CAUSALMESHD_MAX_CONNS=8", "CAUSALMESHD_STORE=mem"}
	cmd, err := ParseArgs([]string{"-config", file, "-loops", "4"}, environ)
	if err != nil {
		t.Fatal(err)
	}
	if c := cmd.Config; c.Loops != 4 || c.MaxConns != 8 || c.Heartbeat != time.Second {
		t.Errorf("loops %d, max-conns %d, heartbeat %v", c.Loops, c.MaxConns, c.Heartbeat)
	}
	for variable, want := range map[string]string{
		"CAUSALMESHD_LOOP=3":          "no such setting",
		"CAUSALMESHD_LOOPS=many":      "CAUSALMESHD_LOOPS=many",
		"CAUSALMESHD_MAX_MEMORY=lots": "max-memory",
	} {
		if _, err := ParseArgs(nil, []string{variable}); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", variable, err)
		}
	}
}
