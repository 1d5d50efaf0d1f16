package daemon

import (
	"causalmesh/causal"
	"causalmesh/daemon/store"
)

// backlog holds inputs that came up while a step was carried out, or that other
// goroutines have left: settle takes them one by one, so that no step runs within
// another.
type backlog struct {
	loads   []causal.LoadResult
	flushes []causal.FlushResult
	lost    []causal.ReplicaID // outgoing links
}

func (b *backlog) add(r store.Results) {
	b.loads = append(b.loads, r.Loads...)
	b.flushes = append(b.flushes, r.Flushes...)
}

// deliver takes results from the store's workers.
func (n *node) deliver(r store.Results) {
	n.mu.Lock()
	n.arrived.Loads = append(n.arrived.Loads, r.Loads...)
	n.arrived.Flushes = append(n.arrived.Flushes, r.Flushes...)
	n.mu.Unlock()
	n.loop.Wake()
}

// settle steps through the backlog. Each of the loop's calls ends with it. It comes
// to an end: what the store refuses fails a request, or makes the core pause.
func (n *node) settle() {
	b := &n.backlog
	for n.server != nil {
		switch {
		case len(b.lost) > 0:
			p := b.lost[0]
			b.lost = b.lost[1:]
			n.in = causal.Input{Now: n.now, Kind: causal.InputLinkDown, Peer: p}
		case len(b.loads) > 0:
			n.in = causal.Input{Now: n.now, Kind: causal.InputLoaded, Load: &b.loads[0]}
			b.loads = b.loads[1:]
		case len(b.flushes) > 0:
			n.in = causal.Input{Now: n.now, Kind: causal.InputFlushed, Flush: &b.flushes[0]}
			b.flushes = b.flushes[1:]
		default:
			b.loads, b.flushes, b.lost = nil, nil, nil
			return
		}
		n.step()
	}
}
