package bpf

import (
	"time"
	"unsafe"

	"causalmesh/causal"
	"causalmesh/ring"
)

const histogramBytes = uint32(unsafe.Sizeof(requestsCmHistogram{}))

// Snapshot is what the probes have counted so far.
type Snapshot struct {
	At         time.Duration // by the monotonic clock
	Operations [ring.Kinds]Operation
	// WakeUp is how long loops that waited took to run after there was something to do.
	WakeUp Histogram
	Losses Losses
}

// Operation is what became of the requests of one kind.
type Operation struct {
	Requests uint64 // answered
	Untimed  uint64 // of them: when they were received is not known
	Unready  uint64 // of the others: when they were ready is not known
	Queue    Histogram
	Service  Histogram
	// Send counts replies that their sockets have taken whole; on kernels before 6.3 only those
	// that were not taken at once.
	Send Histogram
	// Total is all of it, up to the end of the send that was submitted: what a client that
	// does not read puts off is in Send alone.
	Total Histogram
}

// The parts of a request's time, as maps.h counts them.
const (
	partQueue = iota
	partService
	partSend
	partTotal
	parts
)

// wakeUps is the histogram after those of the operations.
const wakeUps = ring.Kinds * parts

// part finds a part's histogram.
func (o *Operation) part(i int) *Histogram {
	return [parts]*Histogram{&o.Queue, &o.Service, &o.Send, &o.Total}[i]
}

// Losses are what could not be followed.
type Losses struct {
	Unreadable  uint64 `json:"unreadable_records"`
	Connections uint64 `json:"connections_without_room"`
	Outliers    uint64 `json:"outliers_without_room"`
	// Missed are runs of programs that the kernel has left out, for one was under way.
	Missed uint64 `json:"missed_runs"`
}

// Program is what the kernel says of a pinned program.
type Program struct {
	Name   string `json:"program"` // as it is pinned
	ID     uint32 `json:"id"`
	Tag    string `json:"tag"`
	Missed uint64 `json:"missed_runs"`
	// Runs and RunTime are counted only while the kernel does so (bpf_stats_enabled).
	Runs    uint64        `json:"runs"`
	RunTime time.Duration `json:"run_time_ns"`
}

// KindName names a kind of requests; "" for those that are none of clients.
func KindName(kind int) string {
	switch op := causal.Op(kind); {
	case kind == 0:
		return "handshake"
	case op <= causal.OpSync:
		return op.String()
	}
	return ""
}

// Snapshot reads what the probes have counted. It does not stop them, so requests that
// are answered meanwhile may be in it in part.
func (p *Probes) Snapshot() (*Snapshot, error) {
	s := &Snapshot{At: monotonic()}
	for kind := range s.Operations {
		var each []requestsCmOperation // by processor
		if err := p.maps[requestsMapOperations].Lookup(uint32(kind), &each); err != nil {
			return nil, err
		}
		o := &s.Operations[kind]
		for i := range each {
			e := &each[i]
			o.Requests += e.Requests
			o.Untimed += e.Untimed
			o.Unready += e.Unready
		}
		for i := range parts {
			if err := p.read(o.part(i), kind*parts+i); err != nil {
				return nil, err
			}
		}
	}
	if err := p.read(&s.WakeUp, wakeUps); err != nil {
		return nil, err
	}
	var each []requestsCmLosses
	if err := p.maps[requestsMapLosses].Lookup(uint32(0), &each); err != nil {
		return nil, err
	}
	for _, e := range each {
		s.Losses.Unreadable += e.Unreadable
		s.Losses.Connections += e.Connections
		s.Losses.Outliers += e.Outliers
	}
	programs, err := p.Programs()
	if err != nil {
		return nil, err
	}
	for _, g := range programs {
		s.Losses.Missed += g.Missed
	}
	return s, nil
}

// read adds up a histogram.
func (p *Probes) read(h *Histogram, i int) error {
	var each []requestsCmHistogram
	if err := p.maps[requestsMapHistograms].Lookup(uint32(i), &each); err != nil {
		return err
	}
	for i := range each {
		h.add(each[i].Sum, each[i].Buckets[:])
	}
	return nil
}

// Since returns what was counted after an earlier snapshot of the same probes.
func (s *Snapshot) Since(earlier *Snapshot) *Snapshot {
	d := &Snapshot{At: s.At, WakeUp: s.WakeUp.Since(&earlier.WakeUp), Losses: Losses{
		Unreadable:  s.Losses.Unreadable - earlier.Losses.Unreadable,
		Connections: s.Losses.Connections - earlier.Losses.Connections,
		Outliers:    s.Losses.Outliers - earlier.Losses.Outliers,
		Missed:      s.Losses.Missed - earlier.Losses.Missed,
	}}
	for kind := range s.Operations {
		now, then, o := &s.Operations[kind], &earlier.Operations[kind], &d.Operations[kind]
		o.Requests, o.Untimed, o.Unready = now.Requests-then.Requests, now.Untimed-then.Untimed, now.Unready-then.Unready
		for i := range parts {
			*o.part(i) = now.part(i).Since(then.part(i))
		}
	}
	return d
}

// Programs tells of the programs, in the order in which a request meets them.
func (p *Probes) Programs() ([]Program, error) {
	var all []Program
	for _, name := range pinnedPrograms {
		if p.programs[name] == nil {
			continue
		}
		info, err := p.programs[name].Info()
		if err != nil {
			return nil, err
		}
		stats, err := p.programs[name].Stats()
		if err != nil {
			return nil, err
		}
		id, _ := info.ID()
		all = append(all, Program{
			Name: name, ID: uint32(id), Tag: info.Tag, Missed: stats.RecursionMisses, Runs: stats.RunCount, RunTime: stats.Runtime,
		})
	}
	return all, nil
}
