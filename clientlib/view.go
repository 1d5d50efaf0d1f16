package clientlib

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
	"causalmesh/ring/table"
)

// view is a server's table, mapped for reading. Sessions read it without the server, as
// long as the server lives. It is unmapped when neither client nor session refers to it:
// sessions have no end that they could tell of.
type view struct {
	mapping *table.Mapping
	epoch   causal.Epoch
	// beats: the server's heart does. lost: its connection is, for good.
	beats, lost atomic.Bool
}

// live reports whether the table may be read.
func (v *view) live() bool { return v.beats.Load() && !v.lost.Load() }

// openView maps the table that came with w. The file stays the caller's.
func openView(fd int, w *wire.Welcome) (*view, error) {
	m, err := table.Attach(fd)
	if err != nil {
		return nil, err
	}
	if m.Epoch() != w.Epoch {
		_ = m.Close()
		return nil, fmt.Errorf("a table of epoch %d in epoch %d", m.Epoch(), w.Epoch)
	}
	v := &view{mapping: m, epoch: w.Epoch}
	v.beats.Store(true)
	runtime.AddCleanup(v, func(m *table.Mapping) { _ = m.Close() }, m)
	return v, nil
}

const (
	// pulseEvery is how often the server's heartbeat is looked at.
	pulseEvery = 200 * time.Millisecond
	// pulsesMissed is how often it may be found as it was before. A node beats every 25 ms.
	pulsesMissed = 4
)

// watch looks after the server's heartbeat until the connection is lost. A server that is
// stopped, or hangs, keeps its socket open; its table is not read meanwhile.
func (v *view) watch(lost <-chan struct{}) {
	tick := time.NewTicker(pulseEvery)
	defer tick.Stop()
	last, missed := v.mapping.Beat(), 0
	for {
		select {
		case <-lost:
			return
		case <-tick.C:
		}
		if now := v.mapping.Beat(); now != last {
			last, missed = now, 0
		} else {
			missed++
		}
		v.beats.Store(missed < pulsesMissed)
	}
}

// directTries is how often a read beside the writer starts before the server is asked.
const directTries = 3

// direct is a session's reader of a view.
type direct struct {
	view   *view
	reader *table.Reader
	read   causal.DirectRead
}

// readDirect reads s.keys from the server's table; false if only the server can answer.
// What it returns is the reader's memory, or the session's own.
func (s *Session) readDirect() ([]causal.Version, bool) {
	v := s.client.view.Load()
	if v == nil || !v.live() {
		return nil, false
	}
	d := &s.direct
	if d.view != v {
		d.view, d.reader = v, v.mapping.NewReader()
	}
	d.read.Epoch, d.read.Keys, d.read.Tries = v.epoch, s.keys, directTries
	versions, ok := s.core.ReadDirect(&d.read, d.reader)
	if ok {
		s.doubt = doubt{} // as with every other operation
	}
	return versions, ok
}
