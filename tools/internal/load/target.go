package load

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Target is one server of a system that can be put under load.
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
// themselves after the target's timeout. An error wraps ErrOverloaded if the same
// operation may be taken later.
type Session interface {
	Read(ctx context.Context, key string) (found bool, err error)
	Write(ctx context.Context, key string, value []byte) error
	// Move makes the session go on at a connection of the same system.
	Move(to Connection) error
}

// system is a kind of target.
type system struct {
	name string // the first word of a target
	form string // of the whole, for people
	open func(address string, timeout time.Duration) (Target, error)
}

// systems are all that exist.
var systems = []system{
	{"causalmesh", "causalmesh:unix:PATH or causalmesh:tcp:HOST:PORT", openMesh},
}

func forms() string {
	list := make([]string, len(systems))
	for i, s := range systems {
		list[i] = s.form
	}
	return strings.Join(list, ", or ")
}

// openTarget finds the system that a target belongs to. All targets of one run are
// of one system, as sessions roam among them.
func openTarget(text string, timeout time.Duration) (Target, error) {
	name, address, _ := strings.Cut(text, ":")
	for _, s := range systems {
		if s.name != name {
			continue
		}
		t, err := s.open(address, timeout)
		if err != nil {
			return nil, fmt.Errorf("%w: --target %s: %w; write %s", ErrUsage, text, err, s.form)
		}
		return t, nil
	}
	return nil, fmt.Errorf("%w: --target %s: there is no system %q; write %s", ErrUsage, text, name, forms())
}
