package control

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"causalmesh/tools/internal/admin"
	"causalmesh/tools/internal/cluster"
)

// daemonName is the program that nodes are.
const daemonName = "causalmeshd"

func clusterUp(ctx context.Context, c *call) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	daemon := c.bin
	if daemon == "" {
		daemon = filepath.Join(filepath.Dir(self), daemonName)
	}
	began := time.Now()
	s, err := cluster.Up(ctx, cluster.Options{
		Nodes: c.nodes, Dir: c.dir, Store: c.store, Daemon: daemon, Meshctl: self, Args: c.after, Within: c.timeout,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%d nodes are ready after %.1f s.\n\n", len(s.Nodes), time.Since(began).Seconds())
	if err := writeMembers(c.stdout, s); err != nil {
		return err
	}
	c.writeStore(s)
	c.writeHints(s)
	return nil
}

// writeStore says where data is and how long it lives.
func (c *call) writeStore(s *cluster.State) {
	switch {
	case s.Store != nil:
		fmt.Fprintf(c.stdout, `
Database: embedded, in memory. Data lives as long as this cluster. It is far slower
than Redis: nothing measured with it says anything, and after many writes the nodes
may end before it has taken them all. For a real one: --store redis://HOST:PORT/DB.
`)
	case s.StoreURL == "mem":
		fmt.Fprint(c.stdout, "\nDatabase: none. Data lives as long as this cluster.\n")
	default:
		fmt.Fprintf(c.stdout, "\nDatabase: %s\n", s.Redacted().StoreURL)
	}
}

// writeHints writes commands that work as they stand.
func (c *call) writeHints(s *cluster.State) {
	dir := ""
	if c.dir != defaultDir {
		dir = " --dir " + c.dir
	}
	first, last := s.Nodes[0], s.Nodes[len(s.Nodes)-1]
	file := filepath.Join(s.Dir, "session")
	fmt.Fprintf(c.stdout, `
Try
  meshctl --target unix:%s --context %s put greeting hello
  meshctl --target unix:%s --context %s get greeting
  loadgen --target causalmesh:unix:%s --preload --keys 1000 --depth 8
  meshctl cluster status%s
  meshctl cluster down%s
`, first.Unix, file, last.Unix, file, first.Unix, dir, dir)
}

func writeMembers(w io.Writer, s *cluster.State) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PROCESS\tPID\tSTATE\tTARGETS\tADMIN\tLOG")
	row := func(m *cluster.Member, targets, admin string) {
		pid := "-"
		if m.Process != nil {
			pid = fmt.Sprint(m.Process.PID)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, pid, m.State(), targets, admin, m.Log)
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		row(&n.Member, fmt.Sprintf("unix:%s tcp:%s", n.Unix, n.TCP), n.Admin)
	}
	if s.Store != nil {
		row(s.Store, "-", "-")
	}
	return t.Flush()
}

func clusterStatus(ctx context.Context, c *call) error {
	s, err := cluster.Read(c.dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answers := admin.Ask(ctx, s.Admins())
	if c.json {
		if err := writeJSON(c.stdout, map[string]any{"cluster": s.Redacted(), "nodes": answers}); err != nil {
			return err
		}
		return allReady(answers)
	}
	if err := writeMembers(c.stdout, s); err != nil {
		return err
	}
	if s.Keeper == nil || !s.Keeper.Runs() {
		fmt.Fprintln(c.stdout, "\nThe keeper has ended, and its processes with it: meshctl cluster down cleans up.")
	}
	c.writeStore(s)
	fmt.Fprintln(c.stdout)
	if err := admin.WriteTable(c.stdout, answers); err != nil {
		return err
	}
	return allReady(answers)
}

func clusterDown(ctx context.Context, c *call) error {
	s, err := cluster.Down(ctx, c.dir, c.timeout)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%d nodes have ended in order; logs are in %s\n", len(s.Nodes), s.Dir)
	return nil
}

func clusterKeep(ctx context.Context, c *call) error  { return cluster.Keep(ctx, c.dir) }
func clusterStore(ctx context.Context, c *call) error { return cluster.ServeStore(ctx, c.dir) }
