package daemon

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"time"

	"causalmesh/causal"
	"causalmesh/daemon/store"
	"causalmesh/ring"
)

// Status is what a node tells about itself.
type Status struct {
	Version  string         `json:"version"`
	Build    Build          `json:"build"`
	Process  Process        `json:"process"`
	Ready    bool           `json:"ready"`
	NotReady string         `json:"not_ready,omitempty"` // why
	Joined   bool           `json:"joined"`              // it serves clients
	Draining bool           `json:"draining"`
	Config   ConfigSummary  `json:"config"`
	Boot     string         `json:"boot"`
	Epoch    causal.Epoch   `json:"epoch"`            // 0: none yet
	Server   *causal.Status `json:"server,omitempty"` // not before there is an epoch
	Daemon   Counters       `json:"daemon"`
	Loop     ring.Stats     `json:"loop"` // of all loops together
	Store    *store.Stats   `json:"store,omitempty"`
	Peers    []PeerStatus   `json:"peers"`
}

// Build says what the program was made from.
type Build struct {
	Go       string `json:"go"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
}

// Process is what the operating system and the runtime count.
type Process struct {
	PID           int     `json:"pid"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	RSSBytes      uint64  `json:"rss_bytes"`
	HeapBytes     uint64  `json:"heap_bytes"`
	HeapAllocs    uint64  `json:"heap_allocs"` // objects allocated since the start
	Goroutines    int     `json:"goroutines"`
}

// ConfigSummary is the part of the settings that explains the rest.
type ConfigSummary struct {
	Digest         string `json:"digest"` // the same at all nodes
	IO             string `json:"io"`     // what is in use
	Loops          int    `json:"loops"`
	BPF            string `json:"bpf"` // whether probes are on, or why not
	Store          string `json:"store"`
	MaxMemoryBytes Size   `json:"max_memory_bytes"` // 0: no bound
	CacheBytes     Size   `json:"cache_bytes"`      // of it for versions
	PendingBytes   Size   `json:"pending_bytes"`    // of these for writes in flight
}

// PeerStatus is another node, as this one sees it.
type PeerStatus struct {
	Node     causal.ReplicaID `json:"node"`
	Address  string           `json:"address"`
	Role     string           `json:"role"` // of the ring: successor, predecessor, both, or other
	To       bool             `json:"link_to"`
	From     bool             `json:"link_from"`
	Queued   int              `json:"queued_bytes"`           // to it
	NoLink   string           `json:"no_link,omitempty"`      // why there is no link to it
	Refused  string           `json:"refused_here,omitempty"` // why its last hello was refused
	LastBoot string           `json:"boot,omitempty"`         // in this epoch
}

// askStatus asks the loop for the status.
func (n *node) askStatus(ctx context.Context) (Status, error) {
	s, err := askWithin(ctx, n, n.statusTimeout, n.status)
	if err != nil {
		return Status{}, err
	}
	s.Process = readProcess(n.started) // not on the loop's time
	return s, nil
}

// status describes the node; it is called by the loop.
func (n *node) status() Status {
	s := Status{
		Version: buildVersion(), Build: readBuild(), NotReady: n.notReady(), Joined: n.joined, Draining: n.draining,
		Config: ConfigSummary{
			Digest: fmt.Sprintf("%x", n.digest), IO: n.cfg.IO, Loops: n.cfg.Loops, BPF: n.probes.Load().(string), Store: n.storeName(), MaxMemoryBytes: n.cfg.MaxMemory,
			CacheBytes: n.cfg.cacheBytes(), PendingBytes: n.cfg.pendingBytes(),
		},
		Boot: hex64(uint64(n.boot)), Epoch: n.epoch, Daemon: n.counters, Loop: n.loop.Stats(), Peers: []PeerStatus{},
	}
	s.Daemon.add(&n.front.counters)
	for _, r := range n.remotes {
		stats := r.stats()
		s.Daemon.add(&stats.counters)
		s.Loop.Add(stats.loop)
	}
	s.Ready = s.NotReady == ""
	if n.server != nil {
		core := n.server.Status()
		s.Server = &core
	}
	if n.store != nil {
		stats := n.store.Stats()
		s.Store = &stats
	}
	for _, p := range n.peers {
		if p.id != n.cfg.NodeID {
			s.Peers = append(s.Peers, p.status())
		}
	}
	return s
}

func (p *peer) status() PeerStatus {
	s := PeerStatus{
		Node: p.id, Address: p.address, Role: "other", To: p.up(), From: p.accepted(), NoLink: p.note, Refused: p.refused,
	}
	switch isNext, isLast := p == p.n.successor(), p == p.n.predecessor(); {
	case isNext && isLast:
		s.Role = "both"
	case isNext:
		s.Role = "successor"
	case isLast:
		s.Role = "predecessor"
	}
	if p.up() {
		s.Queued = p.n.loop.Queued(p.out.id)
	}
	if p.boot != 0 {
		s.LastBoot = hex64(uint64(p.boot))
	}
	return s
}

func hex64(n uint64) string { return fmt.Sprintf("%016x", n) }

func readProcess(started time.Time) Process {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/allocs:objects"}}
	metrics.Read(heap)
	return Process{
		PID: os.Getpid(), UptimeSeconds: time.Since(started).Seconds(), RSSBytes: residentBytes(),
		HeapBytes: heap[0].Value.Uint64(), HeapAllocs: heap[1].Value.Uint64(), Goroutines: runtime.NumGoroutine(),
	}
}

// residentBytes is the memory that the process has in use, 0 where the kernel does
// not tell.
func residentBytes() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text) // in pages: all, resident, …
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}

// buildVersion is the version of the module, "(devel)" for a build from a folder.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func readBuild() Build {
	b := Build{Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
