package load

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// address is where a server listens.
type address struct{ network, name string }

func (a address) String() string { return a.network + ":" + a.name }

// system is a kind of target: one that is driven over raw sockets, by a codec, or
// one that is used through a library.
type system struct {
	name  string // the first word of a target
	codec func(*run) codec
	open  func(at address, timeout time.Duration) Target
	// sessions: what sessions know of their own writes can be seen.
	sessions bool
}

// systems are all that exist.
var systems = []system{
	{name: "causalmesh", codec: newMesh, sessions: true},
	{name: "redis", codec: newRedis},
	{name: "memcached", codec: newMemcached},
	{name: "clientlib", open: openLibrary},
}

// networks are what servers may listen on.
const networks = "unix:PATH or tcp:HOST:PORT"

func forms() string {
	list := make([]string, len(systems))
	for i, s := range systems {
		list[i] = s.name
	}
	return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1] + ", then " + networks + ",\nas in causalmesh:unix:PATH"
}

// resolve reads Targets. All are of one system, as sessions roam among them.
func (o *Options) resolve() error {
	for _, text := range o.Targets {
		s, at, err := parseTarget(text)
		if err != nil {
			return err
		}
		if o.system != nil && o.system != s {
			return fmt.Errorf("%w: --target %s: another one is of %s; use targets of one system", ErrUsage, text, o.system.name)
		}
		o.system = s
		o.addresses = append(o.addresses, at)
		if s.open != nil {
			o.targets = append(o.targets, s.open(at, o.Timeout))
		}
	}
	return nil
}

func parseTarget(text string) (*system, address, error) {
	name, rest, _ := strings.Cut(text, ":")
	for i := range systems {
		s := &systems[i]
		if s.name != name {
			continue
		}
		network, at, _ := strings.Cut(rest, ":")
		if network != "unix" && network != "tcp" || at == "" {
			return nil, address{}, fmt.Errorf("%w: --target %s: no address in %q; write %s:%s", ErrUsage, text, rest, name, networks)
		}
		return s, address{network, at}, nil
	}
	return nil, address{}, fmt.Errorf("%w: --target %s: there is no system %q; write %s", ErrUsage, text, name, forms())
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
