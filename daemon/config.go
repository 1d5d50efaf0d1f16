package daemon

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/bpf"
	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/daemon/store"
)

// Config says what one node is and what it may use. Each field is a flag of
// causalmeshd, and a key of its configuration file, under the name in its comment;
// settings.go has their descriptions.
type Config struct {
	NodeID         causal.ReplicaID   // node-id
	Peers          []string           // peers
	ListenPeer     string             // listen-peer
	ListenUnix     string             // listen-unix
	ListenTCP      string             // listen-tcp
	Admin          string             // admin
	Store          string             // store
	Propagation    causal.Propagation // propagation
	Ack            causal.Ack         // ack
	IO             string             // io
	Loops          int                // loops
	BPF            string             // bpf
	BPFPins        string             // bpf-pins
	DirectUIDs     []string           // direct-uids
	MaxMemory      Size               // max-memory
	PendingBytes   Size               // pending-bytes
	KeyBytes       Size               // key-bytes
	ValueBytes     Size               // value-bytes
	MaxConns       int                // max-conns
	ClusterKey     string             // cluster-key
	Heartbeat      time.Duration      // heartbeat
	LinkTimeout    time.Duration      // link-timeout
	TombstoneGrace time.Duration      // tombstone-grace
	DrainTimeout   time.Duration      // drain-timeout
	LogLevel       slog.Level         // log-level
}

// storeMem is the value of Store for no database at all.
const storeMem = "mem"

// The ways to move bytes.
const (
	ioAuto  = "auto"
	ioUring = "uring"
	ioNet   = "net"
)

// Whether the kernel is to follow this process's requests.
const (
	bpfAuto = "auto"
	bpfOn   = "on"
	bpfOff  = "off"
)

// DefaultConfig returns the settings that hold where nothing else is said: a ring
// of one without a database. It listens nowhere.
func DefaultConfig() Config {
	return Config{
		Store:          storeMem,
		IO:             ioAuto,
		Loops:          1,
		BPF:            bpfAuto,
		BPFPins:        bpf.Root,
		KeyBytes:       Size(causal.DefaultLimits.KeyBytes),
		ValueBytes:     Size(causal.DefaultLimits.ValueBytes),
		MaxConns:       16384,
		Heartbeat:      250 * time.Millisecond,
		LinkTimeout:    3 * time.Second,
		TombstoneGrace: time.Hour,
		DrainTimeout:   10 * time.Second,
	}
}

// replicas is the size of the ring; without peers the node is a ring of its own.
func (c *Config) replicas() int { return max(1, len(c.Peers)) }

func (c *Config) hasStore() bool { return c.Store != storeMem }

// peerListener is where other nodes connect to.
func (c *Config) peerListener() string {
	if c.ListenPeer == "" && c.replicas() > 1 {
		return c.Peers[c.NodeID]
	}
	return c.ListenPeer
}

// fault is a configuration error: which setting, and what to do.
func fault(setting, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrConfig, setting, fmt.Sprintf(format, args...))
}

// Check reports everything that is wrong with the settings, and reads the cluster
// key. It opens nothing else.
func (c *Config) Check() error {
	var faults []error
	bad := func(setting, format string, args ...any) {
		faults = append(faults, fault(setting, format, args...))
	}
	if n := c.replicas(); n > causal.MaxReplicas {
		bad("peers", "%d nodes, at most %d; shorten the list", n, causal.MaxReplicas)
	} else if int(c.NodeID) >= n {
		bad("node-id", "%d, but peers lists %d nodes; use 0 to %d", c.NodeID, n, n-1)
	}
	faults = append(faults, c.checkAddresses()...)
	switch c.IO {
	case ioAuto, ioUring, ioNet:
	default:
		bad("io", "%q is unknown; use auto, uring or net", c.IO)
	}
	switch c.BPF {
	case bpfAuto, bpfOn, bpfOff:
	default:
		bad("bpf", "%q is unknown; use auto, on or off", c.BPF)
	}
	if !filepath.IsAbs(c.BPFPins) {
		bad("bpf-pins", "%q is no absolute path; use a folder in a BPF file system, as %s", c.BPFPins, bpf.Root)
	}
	if c.Loops < 1 || c.Loops > maxLoops {
		bad("loops", "%d; use 1 to %d", c.Loops, maxLoops)
	}
	for _, uid := range c.DirectUIDs {
		if _, err := strconv.ParseUint(uid, 10, 31); err != nil {
			bad("direct-uids", "%q is no uid; use numbers, as id -u prints them", uid)
		}
	}
	if c.hasStore() {
		if _, err := store.ParseURL(c.Store); err != nil {
			bad("store", "%v; use mem, redis://host:port/db or redis+unix:///path?db=0", err)
		}
	}
	if c.Ack == causal.AckReplicated && c.replicas() == 1 {
		bad("ack", "replicated needs a second node; use local, or list more peers")
	}
	if c.MaxConns < 1 {
		bad("max-conns", "%d; use at least 1", c.MaxConns)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"heartbeat", c.Heartbeat, time.Millisecond},
		{"link-timeout", c.LinkTimeout, 3 * c.Heartbeat},
		{"tombstone-grace", c.TombstoneGrace, 3 * c.LinkTimeout}, // longer than a version can be on its way unnoticed
		{"drain-timeout", c.DrainTimeout, 0},
	} {
		if d.value < d.least {
			bad(d.name, "%v is too short; use at least %v", d.value, d.least)
		}
	}
	faults = append(faults, c.checkMemory()...)
	if _, err := c.readKey(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func (c *Config) checkAddresses() (faults []error) {
	if c.ListenUnix == "" && c.ListenTCP == "" {
		faults = append(faults, fault("listen-unix", "no client could connect; set listen-unix or listen-tcp"))
	}
	faults = append(faults, c.checkUnix()...)
	seen := map[string]bool{}
	for _, p := range c.Peers {
		if p == "" {
			faults = append(faults, fault("peers", "an empty entry; write host:port,host:port,…"))
			continue
		}
		if seen[p] {
			faults = append(faults, fault("peers", "%s is listed twice; every node has its own address", p))
			continue
		}
		seen[p] = true
		if _, _, err := checkAddress("peers", p); err != nil {
			faults = append(faults, err)
		}
	}
	return append(faults, c.checkListeners()...)
}

// checkListeners checks what this node itself listens on.
func (c *Config) checkListeners() (faults []error) {
	type listener struct {
		setting, text, host string
		port                int
	}
	all := []listener{{setting: "listen-tcp", text: c.ListenTCP}, {setting: "admin", text: c.Admin}}
	if c.ListenPeer != "" {
		all = append(all, listener{setting: "listen-peer", text: c.ListenPeer})
	} else if c.replicas() > 1 && int(c.NodeID) < len(c.Peers) {
		all = append(all, listener{setting: "peers", text: c.Peers[c.NodeID]})
	}
	for i := range all {
		l := &all[i]
		if l.text == "" {
			continue
		}
		var err error
		if l.host, l.port, err = checkAddress(l.setting, l.text); err != nil {
			if l.setting != "peers" { // those have been reported
				faults = append(faults, err)
			}
			continue
		}
		for _, k := range all[:i] {
			// No host stands for all of them; port 0 for one that is free.
			if k.port == l.port && l.port != 0 && (k.host == l.host || k.host == "" || l.host == "") {
				faults = append(faults, fault(l.setting, "%s: %s listens there (%s); use another port", l.text, k.setting, k.text))
			}
		}
	}
	return faults
}

// checkAddress takes host:port apart. Hosts are not looked up.
func checkAddress(setting, text string) (host string, port int, err error) {
	host, name, err := net.SplitHostPort(text)
	if err != nil {
		return "", 0, fault(setting, "%v; write host:port", err)
	}
	if port, err = net.LookupPort("tcp", name); err != nil {
		return "", 0, fault(setting, "%s: %q is no port; use a number up to %d", text, name, math.MaxUint16)
	}
	return host, port, nil
}

// checkUnix checks that the path fits into the address of a socket, where a zero
// byte follows it.
func (c *Config) checkUnix() []error {
	if longest := len(unix.RawSockaddrUnix{}.Path) - 1; len(c.ListenUnix) > longest {
		return []error{fault("listen-unix", "a path of %d bytes, at most %d; use a shorter folder", len(c.ListenUnix), longest)}
	}
	return nil
}

// keyBytesLeast is the shortest cluster key: half of HMAC-SHA256's strength.
const keyBytesLeast = 16

// readKey returns the cluster key, nil if none is configured. White space around
// it does not count, so that a file made with an editor is the same key.
func (c *Config) readKey() ([]byte, error) {
	if c.ClusterKey == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.ClusterKey)
	if err != nil {
		return nil, fault("cluster-key", "%v; make it with: head -c 32 /dev/urandom | base64", err)
	}
	key := bytes.TrimSpace(text)
	if len(key) < keyBytesLeast {
		return nil, fault("cluster-key", "%s holds %d bytes, at least %d; make it with: head -c 32 /dev/urandom | base64",
			c.ClusterKey, len(key), keyBytesLeast)
	}
	return key, nil
}

// digest is what all nodes of a ring must agree on. Limits are in it because a
// node would refuse, for ever, a version that another one had accepted.
func (c *Config) digest() (d wire.Digest) {
	kind, _, _ := strings.Cut(c.Store, ":")
	if c.hasStore() {
		kind = "store" // each node may reach it by another URL
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "causalmesh ring 1\n%q\n%v\n%s\n%d %d\n",
		c.Peers, c.Propagation, kind, c.KeyBytes, c.ValueBytes))
	copy(d[:], sum[:])
	return d
}

// digestHelp names what goes into the digest, for whoever has to find the
// difference.
const digestHelp = "peers, propagation, store (mem or not), key-bytes and value-bytes must be the same at all nodes"
