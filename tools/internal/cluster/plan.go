package cluster

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"causalmesh/causal"
	"causalmesh/daemon/loopback"
)

// Options say what cluster to set up.
type Options struct {
	Nodes   int
	Dir     string
	Store   string        // URL for causalmeshd; "" for the embedded database
	Daemon  string        // the program causalmeshd
	Meshctl string        // the program that has the commands keep and store
	Args    []string      // further flags for every causalmeshd
	Within  time.Duration // how long it may take until all nodes are ready
}

const (
	storeSocket = "store.sock"
	keeperLog   = "keeper.log"
	// socketPathBytes is what the kernel allows for a Unix socket's path.
	socketPathBytes = 107
	// listens is the number of ports that each node needs.
	listens = 3
)

// ownFlags are the flags of causalmeshd that the plan sets.
var ownFlags = []string{"node-id", "peers", "listen-peer", "listen-unix", "listen-tcp", "admin", "store", "config"}

// plan decides everything about a cluster before anything is started.
func plan(o Options) (*State, error) {
	if o.Nodes < 1 || o.Nodes > causal.MaxReplicas {
		return nil, fmt.Errorf("%w: %d nodes; use -n 1 to %d", ErrOptions, o.Nodes, causal.MaxReplicas)
	}
	if err := checkArgs(o.Args); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if longest := filepath.Join(dir, socketName(o.Nodes-1)); max(len(longest), len(dir)+1+len(storeSocket)) > socketPathBytes {
		return nil, fmt.Errorf("%w: the socket's path %s is longer than the %d bytes that the kernel allows; choose a shorter --dir",
			ErrOptions, longest, socketPathBytes)
	}
	daemon, err := program(o.Daemon)
	if err != nil {
		return nil, err
	}
	ports, err := loopback.Addresses(listens * o.Nodes)
	if err != nil {
		return nil, err
	}
	s := &State{Dir: dir, Created: time.Now().Round(0), StoreURL: o.Store}
	if o.Store == "" {
		u := url.URL{Scheme: "redis+unix", Path: filepath.Join(dir, storeSocket), RawQuery: "db=0"}
		s.StoreURL = u.String()
		s.Store = &Member{
			Name: "store", Args: []string{o.Meshctl, "cluster", "store", "--dir", dir},
			Log: filepath.Join(dir, "store.log"),
		}
	}
	for i := range o.Nodes {
		s.Nodes = append(s.Nodes, Node{
			Member: Member{Name: nodeName(i), Log: filepath.Join(dir, nodeName(i)+".log")},
			Unix:   filepath.Join(dir, socketName(i)),
			Peer:   ports[i], TCP: ports[o.Nodes+i], Admin: ports[2*o.Nodes+i],
		})
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		n.Args = slices.Concat([]string{
			daemon, "-node-id", strconv.Itoa(i), "-peers", strings.Join(ports[:o.Nodes], ","),
			"-listen-unix", n.Unix, "-listen-tcp", n.TCP, "-admin", n.Admin, "-store", s.StoreURL,
			"-bpf", "off", // its nodes have the names of those of other clusters; Args may want it
		}, o.Args)
	}
	return s, nil
}

func nodeName(i int) string   { return fmt.Sprintf("node-%d", i) }
func socketName(i int) string { return nodeName(i) + ".sock" }

// checkArgs refuses flags that would contradict the plan.
func checkArgs(args []string) error {
	for _, a := range args {
		name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if strings.HasPrefix(a, "-") && slices.Contains(ownFlags, name) {
			return fmt.Errorf("%w: %s is set for each node by itself; leave it away (the database is --store, before the --)", ErrOptions, a)
		}
	}
	return nil
}

// program checks that there is a program, and returns where.
func program(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return "", fmt.Errorf("%w: there is no program %s; build causalmeshd into the folder of meshctl, or name it with --bin", ErrOptions, path)
	}
	return path, nil
}
