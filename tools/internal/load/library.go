package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"causalmesh/clientlib"
)

// library is a node of causalmesh that is used through the client library: over a socket,
// in shared memory, or with its table read directly.
type library struct {
	at      address
	timeout time.Duration
}

type libraryConnection struct{ client *clientlib.Client }

type librarySession struct {
	session *clientlib.Session
	value   []byte // memory for what is read
}

func openLibrary(o *Options, at address) Target { return &library{at, o.Timeout} }

func (l *library) Connect(ctx context.Context) (Connection, error) {
	c, err := clientlib.Dial(ctx, l.at.String(), clientlib.WithName(clientName), clientlib.WithTimeout(l.timeout))
	if err != nil {
		return nil, err
	}
	return &libraryConnection{c}, nil
}

func (c *libraryConnection) Session() Session { return &librarySession{session: c.client.Session()} }
func (c *libraryConnection) ValueBytes() int  { return c.client.Info().Limits.ValueBytes }
func (c *libraryConnection) Close() error     { return c.client.Close() }

func (s *librarySession) Read(ctx context.Context, key string) (bool, error) {
	value, found, err := s.session.ReadInto(ctx, key, s.value)
	if found {
		s.value = value
	}
	return found, s.check(err)
}

func (s *librarySession) Write(ctx context.Context, key string, value []byte) error {
	return s.check(s.session.Write(ctx, key, value))
}

func (s *librarySession) Move(to Connection) error {
	return s.session.Move(to.(*libraryConnection).client)
}

// check translates an error. A session whose past the servers have lost can do
// nothing any more: a new one takes its place.
func (s *librarySession) check(err error) error {
	switch {
	case err == nil:
	case isRefusal(err):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case errors.Is(err, clientlib.ErrEpoch), errors.Is(err, clientlib.ErrFutureContext):
		s.session = s.session.Client().Session()
	}
	return err
}
