package control

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// command is one thing that meshctl does.
type command struct {
	name        string // one word or two
	arguments   string // for people
	summary     string
	flags       []string
	least, most int    // number of arguments; most -1: no bound
	after       bool   // words after "--" are for causalmeshd
	hidden      bool   // for meshctl itself
	help        string // of its own, if Usage has not all of it
	timeout     time.Duration
	run         func(ctx context.Context, c *call) error
}

// call is a command with everything that it was given.
type call struct {
	settings
	arguments
	stdout io.Writer
}

const (
	dataTimeout = 5 * time.Second
	upTimeout   = 30 * time.Second
	downTimeout = time.Minute
)

// unbounded is the most arguments of a command without a bound.
const unbounded = -1

var dataFlags = []string{"target", "context", "timeout"}

// commands are all that there are.
func commands() []command {
	return []command{
		{name: "get", arguments: "KEY", summary: "print the value of a key; exit code 3 if there is none",
			flags: append([]string{"json"}, dataFlags...), least: 1, most: 1, timeout: dataTimeout, run: get},
		{name: "mget", arguments: "KEY...", summary: "print the values of several keys, all of one moment",
			flags: append([]string{"json"}, dataFlags...), least: 1, most: unbounded, timeout: dataTimeout, run: mget},
		{name: "put", arguments: "KEY VALUE", summary: "write a value",
			flags: append([]string{"ttl"}, dataFlags...), least: 2, most: 2, timeout: dataTimeout, run: put},
		{name: "del", arguments: "KEY", summary: "remove the value of a key",
			flags: dataFlags, least: 1, most: 1, timeout: dataTimeout, run: del},
		{name: "status", summary: "tell how nodes are: with --admin a line for each, else what --target says of itself",
			flags: []string{"target", "admin", "json", "timeout"}, timeout: dataTimeout, run: status},
		{name: "probe on", summary: "measure nodes' requests in the kernel from now on (as root)",
			flags: []string{"admin", "pins", "timeout"}, timeout: dataTimeout, run: probeOn},
		{name: "probe off", summary: "stop that, and forget what was measured",
			flags: []string{"admin", "pins", "timeout"}, timeout: dataTimeout, run: probeOff},
		{name: "probe status", summary: "tell whether nodes' requests are measured",
			flags: []string{"admin", "pins", "json", "timeout"}, timeout: dataTimeout, run: probeStatus},
		{name: "latency", summary: "tell what was measured: how long requests waited for the daemon, and how long it took",
			flags: []string{"admin", "pins", "interval", "json", "timeout"}, timeout: dataTimeout, run: latency},
		{name: "outliers", summary: "list requests that took long and were not listed before, with their parts; with --interval those to come, too",
			flags: []string{"admin", "pins", "interval", "least", "json", "timeout"}, timeout: dataTimeout, run: outliers},
		{name: "hash", arguments: "KEY...", summary: "print the hash of a key, as outliers have it",
			least: 1, most: unbounded, timeout: dataTimeout, run: hash},
		{name: "top", summary: "show what is measured on a screen that goes on, or as text; meshctl top --help tells how to read it",
			flags: []string{"admin", "pins", "interval", "count", "once", "ascii"}, help: topHelp, run: showTop},
		{name: "cluster up", arguments: "[-- FLAGS OF causalmeshd]", summary: "start a cluster on this machine",
			flags: []string{"n", "dir", "store", "bin", "timeout"}, after: true, timeout: upTimeout, run: clusterUp},
		{name: "cluster status", summary: "tell how its processes and nodes are",
			flags: []string{"dir", "json", "timeout"}, timeout: dataTimeout, run: clusterStatus},
		{name: "cluster down", summary: "end it in order, and report what did not end well",
			flags: []string{"dir", "timeout"}, timeout: downTimeout, run: clusterDown},
		{name: "cluster keep", hidden: true, flags: []string{"dir"}, run: clusterKeep},
		{name: "cluster store", hidden: true, flags: []string{"dir"}, run: clusterStore},
	}
}

// form is how the command is written.
func (c *command) form() string {
	text := "meshctl " + c.name
	if c.arguments != "" {
		text += " " + c.arguments
	}
	for _, name := range c.flags {
		text += " [--" + name + "]"
	}
	return text
}

// find takes the command's name from the words. Like a flag, the word help in its
// place gives flag.ErrHelp.
func find(words []string) (*command, []string, error) {
	if len(words) > 0 && words[0] == "help" {
		c, _, _ := find(words[1:])
		return c, nil, flag.ErrHelp
	}
	all := commands()
	for i := range all {
		name := strings.Fields(all[i].name)
		if len(words) >= len(name) && strings.Join(words[:len(name)], " ") == all[i].name {
			return &all[i], words[len(name):], nil
		}
	}
	if len(words) == 0 {
		return nil, nil, fmt.Errorf("%w: no command; see meshctl --help", ErrUsage)
	}
	return nil, nil, fmt.Errorf("%w: there is no command %q; see meshctl --help", ErrUsage, strings.Join(words, " "))
}

// understand makes a call of a command line. flag.ErrHelp asks for help, with the command
// if that has help of its own, else for Usage.
func understand(line []string) (*command, *call, error) {
	call := &call{}
	f := flagsFor(&call.settings)
	given, err := parse(f, line)
	if errors.Is(err, flag.ErrHelp) {
		c, _, _ := find(given.words)
		return c, nil, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w; see meshctl --help (a key or value that begins with a dash goes after --)", ErrUsage, err)
	}
	c, words, err := find(given.words)
	if err != nil {
		return c, nil, err
	}
	if err := checkFlags(f, c); err != nil {
		return nil, nil, err
	}
	if !c.after {
		// "--" only keeps the words after it from being taken for flags.
		words, given.after = append(words, given.after...), nil
	}
	if len(words) < c.least || c.most != unbounded && len(words) > c.most {
		return nil, nil, fmt.Errorf("%w: %d arguments; it is: %s", ErrUsage, len(words), c.form())
	}
	call.arguments = arguments{words, given.after}
	if call.timeout < 0 {
		return nil, nil, fmt.Errorf("%w: --timeout %v; give a time above 0", ErrUsage, call.timeout)
	}
	if call.timeout == 0 {
		call.timeout = c.timeout
	}
	return c, call, nil
}

const usageHead = `meshctl reads and writes keys of a causalmesh cluster, shows how its nodes are, and
runs clusters on this machine.

usage: meshctl COMMAND [arguments] [flags]

`

const usageExamples = `
A cluster of three nodes on this machine, for trying it out:
  meshctl cluster up -n 3
  meshctl --target unix:run/cluster/node-0.sock put greeting hello
  meshctl --target unix:run/cluster/node-1.sock get greeting
  meshctl cluster down

One causal session across nodes: what was written at one is read at the other, at
once, as the context travels in a file:
  meshctl --target unix:run/cluster/node-0.sock --context run/c put greeting hello
  meshctl --target unix:run/cluster/node-2.sock --context run/c get greeting

With a real Redis below, and settings for every node:
  meshctl cluster up -n 3 --store redis://127.0.0.1:6379/0 -- -max-memory 512MiB

How a node is; repeat --admin for several:
  meshctl status --admin 127.0.0.1:7300

How long its requests take, seen from the kernel, for ten seconds:
  meshctl probe on --admin 127.0.0.1:7300
  meshctl latency --admin 127.0.0.1:7300 --interval 10s
  meshctl outliers --admin 127.0.0.1:7300 --interval 10s --least 5ms
  meshctl top --admin 127.0.0.1:7300
  meshctl probe off --admin 127.0.0.1:7300

Exit codes: 0 done; 1 failed; 2 the command line is invalid; 3 no value.

flags:
`

// Usage writes what meshctl --help shows.
func Usage(w io.Writer) {
	fmt.Fprint(w, usageHead)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range commands() {
		if !c.hidden {
			fmt.Fprintf(t, "  %s %s\t%s\n", c.name, c.arguments, c.summary)
		}
	}
	_ = t.Flush()
	fmt.Fprint(w, usageExamples)
	f := flagsFor(&settings{})
	f.SetOutput(w)
	f.PrintDefaults()
}
