package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
	"causalmesh/clientlib"
	"causalmesh/daemon"
	"causalmesh/daemon/store/redisproc"
	"causalmesh/tools/internal/rig"
)

const (
	startWithin = time.Minute
	// calmPatience is that of clients from whom nothing is kept: only what hangs takes so
	// long, however busy the machine is.
	calmPatience = 30 * time.Second
	// enoughWithin bounds how much longer than the duration a trial goes on until it has
	// done what it is for.
	enoughWithin = time.Minute
	// restWithin bounds the time from the last write to rest.
	restWithin = 30 * time.Second
	// memStore is the daemon's name for no database.
	memStore = "mem"
	redisDir = "redis"
)

// needs is what a trial asks of its stage beyond the options.
type needs struct {
	redis       bool // a redis-server of its own, to be stopped
	noStore     bool
	cuttable    bool
	clientTCP   bool          // clients may connect through proxies
	patience    time.Duration // of clients, 0 for calmPatience
	daemonFlags []string
}

// stage is what a trial runs on.
type stage struct {
	o       *Options
	dir     string
	redis   *redisproc.Server // nil unless started here
	store   string            // for people
	ring    *rig.Ring
	clients []*clientlib.Client // one per node, over its Unix socket
	// recorder has what clients saw; nil before they begin. Nobody records any more
	// when finish is called.
	recorder *check.Recorder
	heldBack time.Duration // see writeUntilKilled
}

// newStage starts all that a trial needs.
func newStage(ctx context.Context, o *Options, n needs) (_ *stage, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &stage{o: o, heldBack: heldBack}
	defer func() {
		if err != nil {
			err = s.finish(ctx, err)
		}
	}()
	if s.dir, err = os.MkdirTemp("", "trial"); err != nil {
		return nil, err
	}
	url, err := s.openStore(n)
	if err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	s.ring, err = rig.Start(starting, rig.Config{
		Binary: o.Binary, Dir: s.dir, Nodes: nodes, Store: url, Cuttable: n.cuttable, ClientTCP: n.clientTCP,
		Flags: append(s.flags(), n.daemonFlags...),
	})
	if err != nil {
		return nil, err
	}
	for _, node := range s.ring.Nodes {
		c, err := s.dial(starting, node.Target(o.Transport), n.patience)
		if err != nil {
			return nil, err
		}
		s.clients = append(s.clients, c)
	}
	return s, nil
}

func (s *stage) flags() []string {
	flags := []string{"--propagation", s.o.Propagation.String(), "--ack", s.o.Ack.String()}
	if s.o.MaxMemory > 0 {
		flags = append(flags, "--max-memory", s.o.MaxMemory.String())
	}
	if s.o.PendingBytes > 0 {
		flags = append(flags, "--pending-bytes", s.o.PendingBytes.String())
	}
	return flags
}

// openStore decides about the database and starts it.
func (s *stage) openStore(n needs) (url string, err error) {
	switch {
	case n.noStore || s.o.Store == memStore:
		s.store = "none (mem)"
		return memStore, nil
	case s.o.Store != "" && !n.redis:
		s.store = s.o.Store
		return s.o.Store, nil
	}
	dir := filepath.Join(s.dir, redisDir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	s.redis, err = redisproc.Start(dir)
	switch {
	case errors.Is(err, redisproc.ErrMissing) && !n.redis:
		s.o.printf("no database below: %v\n", err)
		s.store = "none (mem)"
		return memStore, nil
	case err != nil:
		return "", err
	}
	s.store = "redis-server of its own, over a Unix socket"
	return s.redis.SocketURL(), nil
}

func (s *stage) dial(ctx context.Context, target string, patience time.Duration) (*clientlib.Client, error) {
	return clientlib.Dial(ctx, target, clientlib.WithName("trial"), clientlib.WithTimeout(cmp.Or(patience, calmPatience)))
}

// statuses asks all nodes.
func (s *stage) statuses(ctx context.Context) ([]daemon.Status, error) {
	return s.ring.Statuses(ctx)
}

func (s *stage) node(id causal.ReplicaID) *rig.Node { return s.ring.Nodes[id] }

// processes names what runs.
func (s *stage) processes() string {
	var pids []string
	for _, n := range s.ring.Nodes {
		pids = append(pids, fmt.Sprint(n.PID()))
	}
	return fmt.Sprintf("%d × causalmeshd (pid %s)", len(pids), strings.Join(pids, ", "))
}

// finish ends everything: in order after a success, when an error says that something
// was left behind; at once after a failure. Then logs and history are kept, since what
// went wrong may not come again.
func (s *stage) finish(ctx context.Context, err error) error {
	for _, c := range s.clients {
		_ = c.Close()
	}
	if s.ring != nil {
		if err == nil {
			err = s.ring.Close()
		} else {
			s.ring.Kill()
		}
	}
	if s.redis != nil {
		err = errors.Join(err, s.redis.Stop(), os.RemoveAll(filepath.Join(s.dir, redisDir)))
	}
	interrupted := ctx.Err() != nil
	failed := err != nil && !interrupted
	switch path := s.o.History; {
	case s.recorder == nil || interrupted:
	case path != "":
		err = errors.Join(err, writeHistory(path, s.recorder.History()))
	case failed:
		err = errors.Join(err, writeHistory(filepath.Join(s.dir, "history"), s.recorder.History()))
	}
	if s.o.Logs != "" {
		err = errors.Join(err, s.keepLogs())
	}
	if failed {
		return fmt.Errorf("%w\nthe nodes' logs are kept in %s, and what clients saw, if they had begun", err, s.dir)
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func writeHistory(path string, h *check.History) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(h.Encode(file), file.Close())
}

func (s *stage) keepLogs() error {
	if err := os.MkdirAll(s.o.Logs, 0o755); err != nil {
		return err
	}
	logs, err := filepath.Glob(filepath.Join(s.dir, "*.log"))
	for _, from := range logs {
		text, readErr := os.ReadFile(from)
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(s.o.Logs, filepath.Base(from)), text, 0o644))
	}
	return err
}
