package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"causalmesh/tools/internal/process"
	"causalmesh/tools/internal/rig"
)

const (
	nodes = 3
	// restWithin is how long a ring may take to come to rest after writes: all of them
	// have to be flushed.
	restWithin = 2 * time.Minute
)

// target is a system that runs.
type target struct {
	system System
	// borrowed: the servers are another target's, which fills and ends them.
	borrowed bool
	address  string // for loadgen
	socket   string // for clients
	tcp      string // for clients, if there is such
	programs []*program
	ring     *rig.Ring // nil if it is none

	// The processes, by what they are.
	asked  process.Identity   // of the ring's node that clients are at, or the server
	others []process.Identity // the other nodes
	store  []process.Identity // of the ring; one or none
}

// reach returns a system: one of those that run, reached in another way, or a new one.
func (r *runner) reach(ctx context.Context, s System, dir string, running []*target) (*target, error) {
	if s.Of == "" {
		return r.open(ctx, s, dir)
	}
	i := slices.IndexFunc(running, func(t *target) bool { return t.system.Name == s.Of })
	if i < 0 {
		return nil, fmt.Errorf("%w: %s: there is no %s", ErrServer, s.Name, s.Of)
	}
	t := *running[i]
	t.system, t.borrowed = s, true
	t.address = t.reached()
	return &t, nil
}

// reached is a ring's address for loadgen, by the way that the system says.
func (t *target) reached() string {
	way := cmp.Or(t.system.Way, "causalmesh:unix")
	if strings.HasSuffix(way, ":tcp") {
		return way + ":" + t.tcp
	}
	return way + ":" + t.socket
}

// open starts a system in a folder of its own.
func (r *runner) open(ctx context.Context, s System, dir string) (*target, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	t := &target{system: s}
	var err error
	switch s.Kind {
	case kindRedis:
		err = t.openProgram(ctx, "redis", dir, startRedis)
	case kindMemcached:
		err = t.openProgram(ctx, "memcached", dir, startMemcached)
	case kindMesh:
		err = t.openMesh(ctx, r.daemon(), dir)
	case kindMap:
		t.address = "gomap:local"
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", s.Name, err), t.close())
	}
	for _, p := range t.programs {
		r.ran(p.Program)
	}
	return t, nil
}

func (t *target) openProgram(ctx context.Context, system, dir string, start func(context.Context, string, ...string) (*program, error)) error {
	p, err := start(ctx, dir, t.system.Flags...)
	if err != nil {
		return err
	}
	t.programs, t.socket, t.address = []*program{p}, p.socket, system+":unix:"+p.socket
	t.asked, err = process.Identify(p.process.PID())
	return err
}

func (t *target) openMesh(ctx context.Context, binary, dir string) error {
	under, err := t.system.under(ofNodes)
	if err != nil {
		return err
	}
	c := rig.Config{Binary: binary, Dir: dir, Nodes: nodes, Store: "mem", ClientTCP: t.system.TCP, Under: under, Flags: t.system.Flags}
	if !t.system.NoStore {
		store, err := startRedis(ctx, dir)
		if err != nil {
			return err
		}
		store.Name = "Redis, as the store of causalmesh"
		t.programs = append(t.programs, store)
		c.Store = "redis+unix://" + store.socket + "?db=0"
		id, err := process.Identify(store.process.PID())
		if err != nil {
			return err
		}
		t.store = append(t.store, id)
	}
	within, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if t.ring, err = rig.Start(within, c); err != nil {
		return err
	}
	t.socket = t.ring.Nodes[0].Socket
	if t.system.TCP {
		t.tcp = t.ring.Nodes[0].ListenTCP()
	}
	t.address = t.reached()
	for i, n := range t.ring.Nodes {
		id, err := process.Identify(n.PID())
		switch {
		case err != nil:
			return err
		case i == 0:
			t.asked = id
		default:
			t.others = append(t.others, id)
		}
	}
	return nil
}

// close ends the system's processes, the nodes before their store.
func (t *target) close() error {
	if t.borrowed {
		return nil
	}
	// What is suspended cannot end. A process that has ended is found out below.
	_ = t.signal(syscall.SIGCONT)
	var errs []error
	if t.ring != nil {
		errs = append(errs, t.ring.Close())
	}
	for _, p := range t.programs {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

// closeAll ends systems, all at once.
func closeAll(targets []*target) error {
	errs := make([]error, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() { errs[i] = t.close() })
	}
	all.Wait()
	return errors.Join(errs...)
}

// processes are all that belong to the system.
func (t *target) processes() []process.Identity {
	if t.system.Kind == kindMap {
		return nil
	}
	all := append([]process.Identity{t.asked}, t.others...)
	return append(all, t.store...)
}

// cpu is what some processes have used so far.
func cpu(of ...process.Identity) (time.Duration, error) {
	var total time.Duration
	for _, id := range of {
		used, err := process.CPUTime(id)
		if err != nil {
			return 0, fmt.Errorf("%w: CPU time: %w", ErrServer, err)
		}
		total += used
	}
	return total, nil
}

// rest waits until a ring has done all that its writes ask for. Other systems have
// when they answer.
func (t *target) rest(ctx context.Context) error {
	if t.ring == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, restWithin)
	defer cancel()
	_, err := t.ring.AwaitRest(ctx)
	return err
}

// counts is what the nodes of a ring have counted since they started.
type counts struct {
	requests     float64 // at the node asked
	askedAllocs  float64
	othersAllocs float64
	at           time.Time
}

// count asks the nodes.
func (t *target) count(ctx context.Context) (c counts, err error) {
	for i, n := range t.ring.Nodes {
		s, err := n.Status(ctx)
		if err != nil {
			return c, err
		}
		if i == 0 {
			c.requests, c.askedAllocs = float64(s.Daemon.Requests), float64(s.Process.HeapAllocs)
		} else {
			c.othersAllocs += float64(s.Process.HeapAllocs)
		}
	}
	c.at = time.Now()
	return c, nil
}

// io says what moves the bytes of a ring, empty for other systems.
func (t *target) io(ctx context.Context) (string, error) {
	if t.ring == nil {
		return "", nil
	}
	s, err := t.ring.Nodes[0].Status(ctx)
	return s.Config.IO, err
}

// pids are flags of loadgen that have it count the CPU time of all processes.
func (t *target) pids() []string {
	var flags []string
	for _, id := range t.processes() {
		flags = append(flags, "--server-pid", strconv.Itoa(id.PID))
	}
	return flags
}

// reason is the last line of an error, without the names of this run's files: what a
// node that does not start says itself.
func reason(err error, dir string) string {
	text := strings.TrimSpace(err.Error())
	text = text[strings.LastIndexByte(text, '\n')+1:]
	return strings.ReplaceAll(text, dir+string(filepath.Separator), "")
}
