package load

import (
	"context"
	"strings"
	"sync"
)

// gomap is what a program could have without any server, and without any guarantee: a map
// of its own, under a lock. It is a floor to compare with.
type gomap struct {
	o      *Options
	mu     sync.RWMutex
	values map[string][]byte
}

type gomapSession struct {
	of    *gomap
	value []byte // memory for what is read
}

func openMap(o *Options, _ address) Target { return &gomap{o: o} }

// Connect makes the map, which all connections share.
func (m *gomap) Connect(context.Context) (Connection, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		m.values = make(map[string][]byte, m.o.Keys)
	}
	return m, nil
}

func (m *gomap) Session() Session { return &gomapSession{of: m} }
func (*gomap) ValueBytes() int    { return maxValueBytes }
func (*gomap) Close() error       { return nil }

// Read copies the value, as a client has to get one that stays what it is.
func (s *gomapSession) Read(_ context.Context, key string) (bool, error) {
	s.of.mu.RLock()
	value, found := s.of.values[key]
	s.value = append(s.value[:0], value...)
	s.of.mu.RUnlock()
	return found, nil
}

func (s *gomapSession) Write(_ context.Context, key string, value []byte) error {
	s.of.mu.Lock()
	if s.of.values[key] == nil {
		key = strings.Clone(key) // a program's map has keys of its own, not those of its next request
	}
	s.of.values[key] = append(s.of.values[key][:0], value...)
	s.of.mu.Unlock()
	return nil
}

// Move has nowhere to go: there is one map.
func (*gomapSession) Move(Connection) error { return nil }
