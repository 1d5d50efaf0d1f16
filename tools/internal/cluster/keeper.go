package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"causalmesh/daemon/child"
	"causalmesh/tools/internal/memstore"
	"causalmesh/tools/internal/process"
)

const (
	pollEvery = 10 * time.Millisecond
	// storeWithin is how long the embedded database may take until it answers.
	storeWithin = 10 * time.Second
)

// keeper is the parent of a cluster's processes. One goroutine owns it.
type keeper struct {
	state    *State
	children map[*Member]*child.Process
	ended    chan *Member
	asked    bool // the processes were asked to end
}

// Keep starts the processes of the cluster in a folder and waits until ctx ends;
// then it ends them. What becomes of them is in the state file.
func Keep(ctx context.Context, dir string) error {
	state, err := Read(dir)
	if err != nil {
		return err
	}
	self, err := process.Identify(os.Getpid())
	if err != nil {
		return err
	}
	state.Keeper = &self
	k := &keeper{state: state, children: map[*Member]*child.Process{}, ended: make(chan *Member)}
	if err := state.save(); err != nil {
		return err
	}
	err = k.start(ctx)
	if err != nil {
		state.Fault = err.Error()
	} else {
		err = k.watch(ctx)
	}
	return errors.Join(err, k.stop())
}

func (k *keeper) start(ctx context.Context) error {
	for _, m := range k.state.members() {
		if err := k.startMember(m); err != nil {
			return err
		}
		if m != k.state.Store {
			continue
		}
		if err := k.awaitStore(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (k *keeper) startMember(m *Member) error {
	log, err := os.OpenFile(m.Log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	command := exec.Command(m.Args[0], m.Args[1:]...)
	command.Stdout, command.Stderr = log, log
	p, err := child.Start(command)
	if err != nil {
		return err
	}
	k.children[m] = p
	go func() {
		<-p.Ended()
		k.ended <- m
	}()
	// A process that has ended already is a zombie until it is waited for, or gone: it
	// is then noticed as ended, and needs no identity.
	if id, err := process.Identify(p.PID()); err == nil {
		m.Process = &id
	} else if !errors.Is(err, process.ErrGone) {
		return err
	}
	return k.state.save()
}

// awaitStore waits until the embedded database takes connections: nodes do not wait
// for theirs.
func (k *keeper) awaitStore(ctx context.Context, m *Member) error {
	socket := filepath.Join(k.state.Dir, storeSocket)
	for deadline := time.Now().Add(storeWithin); ; {
		c, err := net.Dial("unix", socket)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case ended := <-k.ended:
			return errors.Join(fmt.Errorf("%s has ended; see %s", ended.Name, ended.Log), k.note(ended))
		case <-time.After(pollEvery):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer after %v: %w; see %s", m.Name, storeWithin, err, m.Log)
		}
	}
}

// watch notes processes that end, until ctx does.
func (k *keeper) watch(ctx context.Context) error {
	for {
		select {
		case m := <-k.ended:
			if err := k.note(m); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// stop ends the nodes, and then the database. It waits for as long as they take.
func (k *keeper) stop() error {
	k.asked = true
	var nodes, store []*Member
	for m := range k.children {
		switch {
		case m.Exit != nil:
		case m == k.state.Store:
			store = append(store, m)
		default:
			nodes = append(nodes, m)
		}
	}
	return errors.Join(k.stopMembers(nodes), k.stopMembers(store), k.state.save())
}

func (k *keeper) stopMembers(members []*Member) error {
	var faults []error
	for _, m := range members {
		if err := k.children[m].Signal(syscall.SIGTERM); err != nil && !errors.Is(err, child.ErrEnded) {
			faults = append(faults, err)
		}
	}
	left := func() bool {
		for _, m := range members {
			if m.Exit == nil {
				return true
			}
		}
		return false
	}
	for left() {
		faults = append(faults, k.note(<-k.ended))
	}
	return errors.Join(faults...)
}

func (k *keeper) note(m *Member) error {
	err := k.children[m].Err()
	m.Exit = &Exit{Well: err == nil, How: "exit status 0", At: time.Now().Round(0), Asked: k.asked}
	if err != nil {
		m.Exit.How = err.Error()
	}
	return k.state.save()
}

// ServeStore is the embedded database of the cluster in a folder.
func ServeStore(ctx context.Context, dir string) error {
	socket := filepath.Join(dir, storeSocket)
	// The state file says that no other cluster is in the folder: the socket is one of
	// a machine that stopped.
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return memstore.Serve(ctx, socket, func() {})
}
