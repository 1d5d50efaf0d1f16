package daemon

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"causalmesh/causal"
)

// Settings: the same names and the same texts on the command line and in the
// configuration file. The flag set below is the only list of them.

// flagsFor returns the settings of c as flags, with what c holds as defaults.
func flagsFor(c *Config) *flag.FlagSet {
	f := flag.NewFlagSet("causalmeshd", flag.ContinueOnError)
	f.SetOutput(io.Discard) // the caller reports errors, once
	f.Var(&replicaValue{&c.NodeID}, "node-id", "`place` of this node in peers, from 0; node 0 founds the cluster")
	f.Var(&listValue{&c.Peers}, "peers", "`addresses` of all nodes in ring order, host:port,host:port,…; the same list at every node; empty: a ring of one")
	f.StringVar(&c.ListenPeer, "listen-peer", c.ListenPeer, "`address` to listen on for other nodes; empty: this node's entry in peers")
	f.StringVar(&c.ListenUnix, "listen-unix", c.ListenUnix, "`path` of the Unix socket for clients; empty: none")
	f.StringVar(&c.ListenTCP, "listen-tcp", c.ListenTCP, "`address` to listen on for clients; empty: none")
	f.StringVar(&c.Admin, "admin", c.Admin, "`address` of the HTTP endpoint with /healthz, /readyz, /status and /metrics; empty: none")
	f.StringVar(&c.Store, "store", c.Store, "`database` below: mem for none, redis://host:port/db, rediss:// or redis+unix:///path?db=0")
	f.Var(&choiceValue[causal.Propagation]{&c.Propagation, []causal.Propagation{causal.OneRound, causal.TwoRound}},
		"propagation", "when a write becomes visible: `one-round` (one traversal of the ring, closed) or two-round (the paper's); the same at every node")
	f.Var(&choiceValue[causal.Ack]{&c.Ack, []causal.Ack{causal.AckLocal, causal.AckReplicated}},
		"ack", "when a write is acknowledged: `local` (this node has it) or replicated (the next node too)")
	f.StringVar(&c.IO, "io", c.IO, "how bytes move: `auto` (io_uring if this host allows it, else net), uring or net")
	f.IntVar(&c.Loops, "loops", c.Loops, "`number` of event loops, each a thread; one of them writes, all serve clients and read")
	f.StringVar(&c.BPF, "bpf", c.BPF, "probes in the kernel that time this node's requests, for meshctl latency: `auto` (on if this host and its privileges allow it), on or off")
	f.StringVar(&c.BPFPins, "bpf-pins", c.BPFPins, "`folder` in a BPF file system below which the probes are pinned")
	f.Var(&listValue{&c.DirectUIDs}, "direct-uids", "`uids` of users, by a comma apart, whose processes may map the table to read it directly, besides root and this node's own user")
	f.Var(&c.MaxMemory, "max-memory", "`size` that the process stays below, as in 512MiB, but for what connections hold; 0: no bound")
	f.Var(&c.PendingBytes, "pending-bytes", "`size` of writes in flight that all nodes together may have; 0: 64MiB, or an 8th of max-memory less 15MiB if that is less, but room for one version of each node")
	f.Var(&c.KeyBytes, "key-bytes", "`size` of the longest key; the same at every node")
	f.Var(&c.ValueBytes, "value-bytes", "`size` of the largest value; the same at every node")
	f.IntVar(&c.MaxConns, "max-conns", c.MaxConns, "`number` of connections that each listener accepts at once")
	f.StringVar(&c.ClusterKey, "cluster-key", c.ClusterKey, "`file` with the key that the nodes share; empty: nodes and clients are trusted")
	f.DurationVar(&c.Heartbeat, "heartbeat", c.Heartbeat, "longest `time` that a link between nodes is silent")
	f.DurationVar(&c.LinkTimeout, "link-timeout", c.LinkTimeout, "`time` of silence after which a link is closed and set up again")
	f.DurationVar(&c.TombstoneGrace, "tombstone-grace", c.TombstoneGrace, "`time` that the marker of a delete is kept")
	f.DurationVar(&c.DrainTimeout, "drain-timeout", c.DrainTimeout, "longest `time` to wait at the end until all writes are stable and flushed")
	f.TextVar(&c.LogLevel, "log-level", c.LogLevel, "least `level` that is logged: DEBUG, INFO, WARN or ERROR")
	return f
}

// Command is what the command line asks for.
type Command struct {
	Config      Config
	CheckConfig bool
	CheckHost   bool
	PrintConfig bool
	Version     bool
}

// commandFlags returns the flags of the command line: the settings, and what only a
// command line can ask for.
func commandFlags(cmd *Command) (f *flag.FlagSet, file *string) {
	f = flagsFor(&cmd.Config)
	file = f.String("config", "", "TOML `file` with settings under the names of the flags; flags have precedence")
	f.BoolVar(&cmd.CheckConfig, "check-config", false, "check the settings and end")
	f.BoolVar(&cmd.CheckHost, "check-host", false, "print what works on this host, and what would help, and end")
	f.BoolVar(&cmd.PrintConfig, "print-config", false, "print the settings in force as a commented TOML file and end")
	f.BoolVar(&cmd.Version, "version", false, "print the version and end")
	return f, file
}

// envPrefix opens the names of environment variables that are settings: the rest is the
// flag's name in capitals, with underscores.
const envPrefix = "CAUSALMESHD_"

// ParseArgs reads the configuration file that the command line names, then the
// environment (os.Environ), then the command line; the later has precedence.
// flag.ErrHelp asks for Usage.
func ParseArgs(args, environ []string) (Command, error) {
	cmd := Command{Config: DefaultConfig()}
	f, file := commandFlags(&cmd)
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return cmd, err
		}
		return cmd, fmt.Errorf("%w: %w; see causalmeshd -help", ErrConfig, err)
	}
	if f.NArg() > 0 {
		return cmd, fmt.Errorf("%w: unexpected argument %q; settings are flags: -name value", ErrConfig, f.Arg(0))
	}
	given := cmd.Config
	overridden := map[string]bool{}
	f.Visit(func(g *flag.Flag) { overridden[g.Name] = true })
	cmd.Config = DefaultConfig()
	if *file != "" {
		if err := cmd.Config.ReadFile(*file); err != nil {
			return cmd, err
		}
	}
	if err := cmd.Config.ReadEnv(environ); err != nil {
		return cmd, err
	}
	into := flagsFor(&cmd.Config)
	flagsFor(&given).VisitAll(func(g *flag.Flag) {
		if overridden[g.Name] {
			_ = into.Set(g.Name, g.Value.String()) // it is what a flag of the same type printed
		}
	})
	return cmd, nil
}

// ReadEnv takes over the settings among the variables, each NAME=value.
func (c *Config) ReadEnv(environ []string) error {
	f := flagsFor(c)
	var faults []error
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		setting, ok := strings.CutPrefix(name, envPrefix)
		if !ok {
			continue
		}
		setting = strings.ToLower(strings.ReplaceAll(setting, "_", "-"))
		if f.Lookup(setting) == nil {
			faults = append(faults, fault(setting, "%s: no such setting; see causalmeshd -print-config for all of them", name))
		} else if err := f.Set(setting, value); err != nil {
			faults = append(faults, fault(setting, "%s=%s: %v", name, value, err))
		}
	}
	return errors.Join(faults...)
}

// Usage writes all flags with their defaults.
func Usage(w io.Writer) {
	fmt.Fprintln(w, "causalmeshd is one node of a causally consistent cache.\n\nusage: causalmeshd [flags]\n\n"+
		"Each setting can also be given as an environment variable ("+envPrefix+"MAX_MEMORY=1GiB) or in a file\n"+
		"(-config). Flags have precedence over variables, and these over the file.\n\nflags:")
	f, _ := commandFlags(&Command{Config: DefaultConfig()})
	f.SetOutput(w)
	f.PrintDefaults()
}

// ReadFile takes over the settings in a TOML file.
func (c *Config) ReadFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fault("config", "%v", err)
	}
	var values map[string]any
	if _, err := toml.Decode(string(text), &values); err != nil {
		return fault("config", "%s: %v", path, err)
	}
	f := flagsFor(c)
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if f.Lookup(name) == nil {
			faults = append(faults, fault(name, "%s: no such setting; see causalmeshd -print-config for all of them", path))
			continue
		}
		value, err := scalar(values[name])
		if err == nil {
			err = f.Set(name, value)
		}
		if err != nil {
			faults = append(faults, fault(name, "%s: %v: %v", path, values[name], err))
		}
	}
	return errors.Join(faults...)
}

// scalar is the text of a TOML value as a flag would have it.
func scalar(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case bool:
		return strconv.FormatBool(v), nil
	case []any:
		texts := make([]string, len(v))
		for i, e := range v {
			s, ok := e.(string)
			if !ok {
				return "", fmt.Errorf("element %d is no string; write [\"host:port\", …]", i)
			}
			texts[i] = s
		}
		return strings.Join(texts, ","), nil
	}
	return "", fmt.Errorf("a value of type %T; write a string or a number", v)
}

// WriteTo writes the settings as a TOML file that ReadFile takes, each below what
// it means.
func (c *Config) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	b.WriteString("# Settings of one node of causalmesh. Each is a flag of causalmeshd, too.\n")
	flagsFor(c).VisitAll(func(g *flag.Flag) {
		_, usage := flag.UnquoteUsage(g)
		fmt.Fprintf(&b, "\n# %s\n%s = %s\n", usage, g.Name, tomlValue(g.Value))
	})
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func tomlValue(v flag.Value) string {
	switch v := v.(type) {
	case *listValue:
		quoted := make([]string, len(*v.list))
		for i, e := range *v.list {
			quoted[i] = strconv.Quote(e)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case *replicaValue:
		return v.String()
	}
	if _, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
		return v.String()
	}
	return strconv.Quote(v.String())
}

type replicaValue struct{ id *causal.ReplicaID }

func (v *replicaValue) String() string {
	if v.id == nil {
		return ""
	}
	return strconv.Itoa(int(*v.id))
}

func (v *replicaValue) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || n >= causal.MaxReplicas {
		return fmt.Errorf("%q is no place in the ring; use 0 to %d", text, causal.MaxReplicas-1)
	}
	*v.id = causal.ReplicaID(n)
	return nil
}

type listValue struct{ list *[]string }

func (v *listValue) String() string {
	if v.list == nil {
		return ""
	}
	return strings.Join(*v.list, ",")
}

func (v *listValue) Set(text string) error {
	*v.list = nil
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	for e := range strings.SplitSeq(text, ",") {
		*v.list = append(*v.list, strings.TrimSpace(e))
	}
	return nil
}

// choiceValue is one of a few names.
type choiceValue[T interface {
	comparable
	fmt.Stringer
}] struct {
	value   *T
	choices []T
}

func (v *choiceValue[T]) String() string {
	if v.value == nil {
		return ""
	}
	return (*v.value).String()
}

func (v *choiceValue[T]) Set(text string) error {
	names := make([]string, len(v.choices))
	for i, c := range v.choices {
		if names[i] = c.String(); names[i] == text {
			*v.value = c
			return nil
		}
	}
	return fmt.Errorf("%q is unknown; use %s", text, strings.Join(names, " or "))
}
