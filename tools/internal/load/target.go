package load

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// address is where a server is, and how it is reached.
type address struct{ network, name string }

func (a address) String() string { return a.network + ":" + a.name }

// way is how a server is reached: the second word of a target, and what stands behind it,
// if anything does.
type way struct{ name, where string }

func (w way) String() string { return strings.TrimSuffix(w.name+":"+w.where, ":") }

var (
	sockets = []way{{"unix", "PATH"}, {"tcp", "HOST:PORT"}}
	// shared are ways through memory. The path is that of the server's Unix socket.
	shared = []way{{"shm", "PATH"}, {"direct", "PATH"}}
	inside = []way{{"local", ""}}
)

// system is a kind of target: one that is driven over raw sockets, by a codec, or
// one that is used through a library. One name may stand for both, by the way.
type system struct {
	name  string // the first word of a target
	ways  []way
	codec func(*run) codec
	open  func(o *Options, at address) Target
	// sessions: what sessions know of their own writes can be seen.
	sessions bool
}

// systems are all that exist.
var systems = []system{
	{name: "causalmesh", ways: sockets, codec: newMesh, sessions: true},
	{name: "causalmesh", ways: shared, open: openLibrary},
	{name: "redis", ways: sockets, codec: newRedis},
	{name: "memcached", ways: sockets, codec: newMemcached},
	{name: "clientlib", ways: slices.Concat(sockets, shared), open: openLibrary},
	{name: "gomap", ways: inside, open: openMap},
}

// String names the system with the ways to it.
func (s *system) String() string {
	names := make([]string, len(s.ways))
	for i, w := range s.ways {
		names[i] = w.name
	}
	return s.name + " over " + alternatives(names)
}

// alternatives joins what one can choose from.
func alternatives(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
}

// systemNames are the first words of targets.
func systemNames() string {
	var list []string
	for i := range systems {
		if name := systems[i].name; !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return alternatives(list)
}

// waysTo are the forms of targets of that name.
func waysTo(name string) string {
	var list []string
	for i := range systems {
		if s := &systems[i]; s.name == name {
			for _, w := range s.ways {
				list = append(list, name+":"+w.String())
			}
		}
	}
	return alternatives(list)
}

// resolve reads Targets. All are of one system, as sessions roam among them.
func (o *Options) resolve() error {
	for _, text := range o.Targets {
		s, at, err := parseTarget(text)
		if err != nil {
			return err
		}
		if o.system != nil && o.system != s {
			return fmt.Errorf("%w: --target %s: another one is of %s; use targets of one system, driven in one way", ErrUsage, text, o.system)
		}
		if len(o.targets) > 0 && at.network == inside[0].name {
			return fmt.Errorf("%w: --target %s: there is one map; give it once", ErrUsage, text)
		}
		o.system = s
		o.addresses = append(o.addresses, at)
		if s.open != nil {
			o.targets = append(o.targets, s.open(o, at))
		}
	}
	return nil
}

func parseTarget(text string) (*system, address, error) {
	name, rest, _ := strings.Cut(text, ":")
	network, at, _ := strings.Cut(rest, ":")
	known := false
	for i := range systems {
		s := &systems[i]
		if s.name != name {
			continue
		}
		known = true
		for _, w := range s.ways {
			if w.name == network && (w.where == "") == (at == "") {
				return s, address{network, at}, nil
			}
		}
	}
	if known {
		return nil, address{}, fmt.Errorf("%w: --target %s: no way to it in %q; write %s", ErrUsage, text, rest, waysTo(name))
	}
	return nil, address{}, fmt.Errorf("%w: --target %s: there is no system %q; write %s", ErrUsage, text, name, systemNames())
}

// forms describes all targets, a line for each system.
func forms() string {
	var b strings.Builder
	for i := range systems {
		if name := systems[i].name; i == 0 || systems[i-1].name != name {
			fmt.Fprintf(&b, "  %s\n", waysTo(name))
		}
	}
	return b.String()
}

// Target is one server that is put under load through a library.
type Target interface {
	// Connect opens a connection that shares nothing with others.
	Connect(ctx context.Context) (Connection, error)
}

// Connection carries the operations of any number of sessions at once.
type Connection interface {
	Session() Session
	// ValueBytes is the size of the largest value that the server takes.
	ValueBytes() int
	Close() error
}

// Session does one operation at a time, for one goroutine. Operations end by
// themselves after the target's timeout. An error wraps ErrRefused if the same
// operation may be taken later.
type Session interface {
	Read(ctx context.Context, key string) (found bool, err error)
	Write(ctx context.Context, key string, value []byte) error
	// Move makes the session go on at a connection of the same system.
	Move(to Connection) error
}
