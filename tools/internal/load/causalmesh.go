package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"causalmesh/clientlib"
)

// mesh is a node of causalmesh.
type mesh struct {
	address string
	timeout time.Duration
}

type meshConnection struct{ client *clientlib.Client }

type meshSession struct{ session *clientlib.Session }

func openMesh(address string, timeout time.Duration) (Target, error) {
	network, rest, _ := strings.Cut(address, ":")
	if network != "unix" && network != "tcp" || rest == "" {
		return nil, fmt.Errorf("no address in %q", address)
	}
	return &mesh{address, timeout}, nil
}

func (m *mesh) Connect(ctx context.Context) (Connection, error) {
	c, err := clientlib.Dial(ctx, m.address, clientlib.WithName("loadgen"), clientlib.WithTimeout(m.timeout))
	if err != nil {
		return nil, err
	}
	return &meshConnection{c}, nil
}

func (c *meshConnection) Session() Session { return &meshSession{c.client.Session()} }
func (c *meshConnection) ValueBytes() int  { return c.client.Info().Limits.ValueBytes }
func (c *meshConnection) Close() error     { return c.client.Close() }

func (s *meshSession) Read(ctx context.Context, key string) (bool, error) {
	_, found, err := s.session.Read(ctx, key)
	return found, s.check(err)
}

func (s *meshSession) Write(ctx context.Context, key string, value []byte) error {
	return s.check(s.session.Write(ctx, key, value))
}

func (s *meshSession) Move(to Connection) error {
	return s.session.Move(to.(*meshConnection).client)
}

// check translates an error. A session whose past the servers have lost can do
// nothing any more: a new one takes its place.
func (s *meshSession) check(err error) error {
	switch {
	case err == nil:
	case errors.Is(err, clientlib.ErrOverloaded):
		return fmt.Errorf("%w: %w", ErrOverloaded, err)
	case errors.Is(err, clientlib.ErrEpoch), errors.Is(err, clientlib.ErrFutureContext):
		s.session = s.session.Client().Session()
	}
	return err
}
