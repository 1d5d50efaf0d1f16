package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"causalmesh/causal"
	"causalmesh/daemon"
	"causalmesh/daemon/child"
	"causalmesh/daemon/netcut"
	"causalmesh/tools/internal/admin"
	"causalmesh/tools/internal/process"
)

// Node is one causalmeshd process.
type Node struct {
	ID     causal.ReplicaID
	Socket string // for clients
	Admin  string // host:port
	Log    string // file
	// Incoming is what other nodes connect through; nil unless Cuttable.
	Incoming *netcut.Proxy

	// Clients is what clients connect through over TCP; nil unless ClientTCP.
	Clients *netcut.Proxy

	listen    string // for other nodes, behind Incoming
	listenTCP string // for clients, behind Clients
	process   *child.Process
	identity  process.Identity
}

// statusTimeout bounds one question to a node.
const statusTimeout = 30 * time.Second

// Target is what clients dial: their way to the node's socket is unix, shm or direct.
func (n *Node) Target(way string) string { return way + ":" + n.Socket }

// TargetTCP is what clients dial to come through Clients.
func (n *Node) TargetTCP() string { return "tcp:" + n.Clients.Addr() }

// ListenTCP is where the node itself listens for clients, behind Clients.
func (n *Node) ListenTCP() string { return n.listenTCP }

// PID names the process.
func (n *Node) PID() int { return n.process.PID() }

func (n *Node) launch(c Config, peers []string) error {
	log, err := os.Create(n.Log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	args := append([]string{
		"--node-id", strconv.Itoa(int(n.ID)), "--peers", strings.Join(peers, ","),
		"--listen-peer", n.listen, "--listen-unix", n.Socket, "--admin", n.Admin,
		"--store", c.Store, "--drain-timeout", drainTimeout.String(), "--bpf", "off", // Flags may want it
	}, c.Flags...)
	if n.listenTCP != "" {
		args = append(args, "--listen-tcp", n.listenTCP)
	}
	words := slices.Concat(c.Under, []string{c.Binary}, args)
	command := exec.Command(words[0], words[1:]...)
	command.Stdout, command.Stderr = log, log
	if n.process, err = child.Start(command); err != nil {
		return err
	}
	// One that has ended already has no identity; awaitReady tells how it ended.
	if n.identity, err = process.Identify(n.PID()); errors.Is(err, process.ErrGone) {
		err = nil
	}
	return err
}

func (n *Node) awaitReady(ctx context.Context) error {
	for {
		err := n.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-n.process.Ended():
			return fmt.Errorf("%w: node %d ended (%v): %s", ErrStart, n.ID, n.process.Err(), n.logEnd())
		case <-ctx.Done():
			return fmt.Errorf("%w: node %d: %w: %w", ErrStart, n.ID, ctx.Err(), err)
		case <-time.After(pollEvery):
		}
	}
}

func (n *Node) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	return admin.Ready(ctx, n.Admin)
}

// Status asks the node for its status.
func (n *Node) Status(ctx context.Context) (daemon.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var s daemon.Status
	code, body, err := admin.Get(ctx, n.Admin, "/status")
	switch {
	case err != nil:
	case code != http.StatusOK:
		err = fmt.Errorf("status %d: %s", code, strings.TrimSpace(string(body)))
	default:
		err = json.Unmarshal(body, &s)
	}
	if err == nil && s.Server == nil {
		err = errors.New("no epoch yet")
	}
	if err != nil {
		return s, fmt.Errorf("%w of node %d: %w", ErrStatus, n.ID, err)
	}
	return s, nil
}

// Kill ends the process at once, as a crash would, and waits until it has ended.
func (n *Node) Kill() {
	if n.process != nil {
		n.process.Kill()
	}
	n.closeProxies()
}

func (n *Node) closeProxies() {
	for _, p := range []*netcut.Proxy{n.Incoming, n.Clients} {
		if p != nil {
			p.Close()
		}
	}
}

// stop drains the node.
func (n *Node) stop() error {
	var err error
	if n.process != nil {
		if err = n.process.Stop(drainTimeout + stopWithin); err != nil {
			err = fmt.Errorf("node %d: %w: %s", n.ID, err, n.logEnd())
		}
	}
	n.closeProxies()
	return err
}

// logEnd is the end of the node's log.
func (n *Node) logEnd() string {
	text, err := os.ReadFile(n.Log)
	if err != nil {
		return err.Error()
	}
	const most = 1000
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}
