package table

import (
	"fmt"

	"causalmesh/causal"
)

// Mapping is a table of another process, mapped so that it can only be read.
type Mapping struct {
	header header
	mapped []byte
}

// Attach maps the table behind a descriptor that Share has returned, in whatever
// process. It believes nothing of what it finds, and does not keep fd: the caller may
// close it.
func Attach(fd int) (*Mapping, error) {
	b, err := mapShared(fd)
	if err != nil {
		return nil, err
	}
	h, err := readHeader(regionOf(b))
	if err != nil {
		_ = unmap(b) // the error is the one above
		return nil, err
	}
	return &Mapping{header: h, mapped: b}, nil
}

// NewReader returns a reader for one goroutine. It writes nothing, so the eviction
// hand does not learn what it has read.
func (m *Mapping) NewReader() *Reader { return &Reader{header: m.header} }

// Epoch is the table's.
func (m *Mapping) Epoch() causal.Epoch { return m.header.epoch }

// Beat is the latest that the writer has said with Table.Beat, zero before that.
func (m *Mapping) Beat() uint64 { return m.header.region.load(offBeat) }

// Shut reports whether the writer has shut the table: it is never read again. A writer
// that was killed has shut nothing, and shows by Beat only.
func (m *Mapping) Shut() bool { return m.header.region.load(offShut) != 0 }

// Close ends the mapping. No reader of it may be in use any more, and nothing else of
// it but Close be called.
func (m *Mapping) Close() error {
	b := m.mapped
	m.mapped, m.header.region = nil, region{}
	if b == nil {
		return nil
	}
	if err := unmap(b); err != nil {
		return fmt.Errorf("table: close a mapping: %w", err)
	}
	return nil
}
