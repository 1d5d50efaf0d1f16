package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"causalmesh/tools/internal/admin"
	"causalmesh/tools/internal/cluster"
	"causalmesh/tools/internal/process"
)

// These tests run the real programs. Each cluster is ended by its test, whatever
// happens.

// within bounds one program. It is longer than commandTimeout, which meshctl's commands
// get, so that no busy machine makes them fail.
const (
	within         = 2 * time.Minute
	commandTimeout = "1m"
)

// build builds the programs once, and returns their folder.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "meshctl")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir,
		"causalmesh/tools/meshctl", "causalmesh/tools/loadgen", "causalmesh/daemon/causalmeshd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does
	text, err := build.CombinedOutput()
	if err != nil {
		return dir, errors.New("go build: " + string(text))
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := build(); dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// shell is a folder for one cluster, and the programs.
type shell struct {
	t         *testing.T
	bin, dir  string
	processes []process.Identity // all that were ever seen
}

func newShell(t *testing.T) *shell {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT TESTED with -short: it builds and runs the programs")
	}
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir, which has the test's name in it: paths of sockets are short.
	dir, err := os.MkdirTemp("", "mesh")
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{t: t, bin: bin, dir: dir}
	t.Cleanup(func() {
		if _, err := cluster.Read(dir); err == nil {
			s.run("meshctl", "cluster", "down", "--dir", dir)
		}
		for _, id := range s.processes {
			if id.Runs() {
				t.Errorf("process %d still runs", id.PID)
				_ = id.Signal(syscall.SIGKILL)
			}
		}
		_ = os.RemoveAll(dir)
	})
	return s
}

// run runs a program to its end.
func (s *shell) run(program string, args ...string) (code int, out, bad string) {
	s.t.Helper()
	return s.interrupt(func() bool { return false }, program, args...)
}

// interrupt runs a program to its end, which it is asked for as soon as something holds.
func (s *shell) interrupt(when func() bool, program string, args ...string) (code int, out, bad string) {
	s.t.Helper()
	if program == "meshctl" && !slices.Contains(args, "top") && !slices.Contains(args, "help") {
		args = append([]string{"--timeout", commandTimeout}, args...)
	}
	var stdout, stderr bytes.Buffer
	command := exec.Command(filepath.Join(s.bin, program), args...)
	command.Dir, command.Stdout, command.Stderr = s.dir, &stdout, &stderr
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	late := time.AfterFunc(within, func() { _ = command.Process.Kill() })
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for !when() {
			select {
			case <-ended:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
		_ = command.Process.Signal(os.Interrupt)
	}()
	_ = command.Wait()
	close(ended)
	<-watched
	if !late.Stop() {
		s.t.Errorf("%s %q took longer than %v", program, args, within)
	}
	return command.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// meshctl runs a command that must succeed, and returns what it printed.
func (s *shell) meshctl(args ...string) string {
	s.t.Helper()
	code, out, bad := s.run("meshctl", args...)
	if code != 0 {
		s.t.Fatalf("meshctl %q: exit code %d: %s%s", args, code, out, bad)
	}
	return out
}

// refused runs a command that must fail.
func (s *shell) refused(code int, says string, args ...string) {
	s.t.Helper()
	if got, out, bad := s.run("meshctl", args...); got != code || !strings.Contains(bad, says) {
		s.t.Errorf("meshctl %q: exit code %d, want %d and %q: %s%s", args, got, code, says, out, bad)
	}
}

// up starts a cluster and notes its processes.
func (s *shell) up(args ...string) *cluster.State {
	s.t.Helper()
	s.meshctl(append([]string{"cluster", "up", "--dir", s.dir}, args...)...)
	state, err := cluster.Read(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	started := []process.Identity{*state.Keeper}
	if state.Store != nil {
		started = append(started, *state.Store.Process)
	}
	for _, n := range state.Nodes {
		started = append(started, *n.Process)
	}
	s.processes = append(s.processes, started...)
	for _, id := range started {
		if !id.Runs() {
			s.t.Fatalf("process %d does not run: %+v", id.PID, state)
		}
	}
	return state
}

func (s *shell) awaitEnd(id process.Identity) {
	s.t.Helper()
	for deadline := time.Now().Add(within); id.Runs(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("process %d still runs", id.PID)
		}
	}
}

// ended checks that nothing is left of the cluster but its logs: no process either that
// has its folder in the command line, as all have.
func (s *shell) ended() {
	s.t.Helper()
	for _, id := range s.processes {
		if id.Runs() {
			s.t.Errorf("process %d still runs", id.PID)
		}
	}
	for _, line := range s.commandLines() {
		s.t.Errorf("still runs: %s", line)
	}
	files, err := os.ReadDir(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range files {
		if filepath.Ext(f.Name()) != ".log" && f.Name() != "session" {
			s.t.Errorf("%s is left", f.Name())
		}
	}
}

// commandLines are those of all processes of the cluster that run.
func (s *shell) commandLines() (all []string) {
	s.t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		s.t.Fatalf("no processes: %v", err)
	}
	for _, f := range files {
		// A process that has ended meanwhile has no file, or an empty one.
		text, err := os.ReadFile(f)
		if line := strings.ReplaceAll(string(text), "\x00", " "); err == nil && (strings.Contains(line, s.dir+" ") || strings.Contains(line, s.dir+"/")) {
			all = append(all, f+": "+line)
		}
	}
	return all
}

// TestSession follows one session through a cluster's life.
func TestSession(t *testing.T) {
	s := newShell(t)
	state := s.up("-n", "3", "--", "--link-timeout", within.String())
	if got := s.commandLines(); len(got) != 5 {
		t.Errorf("%q, want the keeper, the database and three nodes", got)
	}
	at := func(node int, args ...string) []string {
		return append([]string{"--target", "unix:" + state.Nodes[node].Unix, "--context", filepath.Join(s.dir, "session")}, args...)
	}
	s.refused(1, "meshctl cluster down", "cluster", "up", "--dir", s.dir)

	s.meshctl(at(0, "put", "greeting", "hello")...)
	// At once, at a node that may not know the write to be stable yet.
	if got := s.meshctl(at(2, "get", "greeting")...); got != "hello\n" {
		t.Errorf("got %q", got)
	}
	s.meshctl(at(1, "put", "--ttl", "1h", "--", "-k", "v w")...)
	if got := s.meshctl(at(0, "mget", "greeting", "nothing", "--", "-k")...); got != "\"greeting\"\t\"hello\"\n\"nothing\"\t-\n\"-k\"\t\"v w\"\n" {
		t.Errorf("got %q", got)
	}
	s.meshctl(at(2, "del", "greeting")...)
	s.refused(3, "no value", at(1, "get", "greeting")...)
	var item struct {
		Value   string
		Version struct{ Deadline *time.Time }
	}
	text := s.meshctl("--target", "tcp:"+state.Nodes[1].TCP, "--context", filepath.Join(s.dir, "session"), "get", "--json", "--", "-k")
	if err := json.Unmarshal([]byte(text), &item); err != nil || item.Value != "v w" || item.Version.Deadline == nil {
		t.Errorf("%v: %s", err, text)
	}
	s.refused(1, "nothing was done", "--target", "unix:"+state.Nodes[0].Unix, "--context", filepath.Join(s.dir, "no", "c"), "put", "undone", "x")
	s.refused(3, "no value", at(0, "get", "undone")...)
	s.looks(state)
	s.loads(state)

	if got := s.meshctl("cluster", "down", "--dir", s.dir); !strings.Contains(got, "3 nodes have ended in order") {
		t.Errorf("got %q", got)
	}
	s.ended()
	s.refused(1, "meshctl cluster up", "cluster", "down", "--dir", s.dir)
	s.refused(1, "meshctl cluster up", "cluster", "status", "--dir", s.dir)

	// In another life of the cluster the session's past is not known.
	state = s.up("-n", "1", "--store", "mem")
	s.refused(1, "remove that file", at(0, "get", "greeting")...)
}

// looks asks the cluster how it is.
func (s *shell) looks(state *cluster.State) {
	s.t.Helper()
	table := s.meshctl("cluster", "status", "--dir", s.dir)
	for end := time.Now().Add(within); strings.Count(table, "4/4") != 3 && time.Now().Before(end); {
		table = s.meshctl("cluster", "status", "--dir", s.dir) // links come after the nodes are ready
	}
	for _, n := range state.Nodes {
		if !strings.Contains(table, n.Name) || !strings.Contains(table, n.Admin) {
			s.t.Errorf("no %s in\n%s", n.Name, table)
		}
	}
	if strings.Count(table, " yes ") != 3 || strings.Count(table, "4/4") != 3 || !strings.Contains(table, "Data lives as long as this cluster") {
		s.t.Errorf("got\n%s", table)
	}
	if got := s.meshctl("status", "--admin", state.Nodes[0].Admin); strings.Count(got, "\n") != 2 {
		s.t.Errorf("got\n%s", got)
	}
	var answers []struct {
		Status struct{ Server struct{ Node int } }
	}
	got := s.meshctl("status", "--json", "--admin", state.Nodes[2].Admin, "--admin", state.Nodes[1].Admin)
	if err := json.Unmarshal([]byte(got), &answers); err != nil || len(answers) != 2 || answers[0].Status.Server.Node != 2 {
		s.t.Errorf("%v: %s", err, got)
	}
	if got := s.meshctl("status", "--target", "unix:"+state.Nodes[1].Unix); !strings.Contains(got, "1 of a ring of 3") {
		s.t.Errorf("got\n%s", got)
	}
}

// loads puts the cluster under a short load.
func (s *shell) loads(state *cluster.State) {
	s.t.Helper()
	const keys, measured = 200, 20
	args := []string{
		"--preload", "--keys", strconv.Itoa(keys), "--depth", "4", "--roam", "0.3", "--warmup", "0s", "--duration", "1h",
		"--timeout", commandTimeout, "--json",
	}
	for _, n := range state.Nodes {
		args = append(args, "--target", "causalmesh:unix:"+n.Unix)
	}
	for _, rate := range []string{"0", "500"} {
		var r struct {
			Ops, Errors int64
			Absent      int64    `json:"reads_absent"`
			CPU         *float64 `json:"server_cpu_us_per_op"`
			FirstError  string   `json:"first_error"`
		}
		// Once there are more writes than the preload makes, the load is under way.
		enough := s.writes(state) + keys + measured
		code, out, bad := s.interrupt(func() bool { return s.writes(state) >= enough },
			"loadgen", append(args, "--rate", rate, "--server-pid", strconv.Itoa(state.Nodes[0].Process.PID))...)
		if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || r.Ops < measured || r.Errors != 0 || r.Absent != 0 || r.CPU == nil {
			s.t.Errorf("rate %s: exit code %d, %v: %s%s", rate, code, err, out, bad)
		}
		if bad != "" {
			s.t.Errorf("a progress line that is on no terminal: %q", bad)
		}
	}
}

// writes is how many writes the nodes have taken; 0 if one does not answer.
func (s *shell) writes(state *cluster.State) (all uint64) {
	for i, answer := range admin.Ask(s.t.Context(), state.Admins()) {
		status, ok := answer.Parsed()
		if !ok || status.Server == nil {
			return 0
		}
		all += uint64(status.Server.Received[i])
	}
	return all
}

// TestNodeIsKilled: an end that is not in order is reported.
func TestNodeIsKilled(t *testing.T) {
	s := newShell(t)
	state := s.up("-n", "2", "--store", "mem")
	killed := *state.Nodes[1].Process
	if err := killed.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.awaitEnd(killed)
	s.refused(1, "not all nodes are ready", "cluster", "status", "--dir", s.dir)
	s.refused(1, "node-1: signal: killed; see "+state.Nodes[1].Log, "cluster", "down", "--dir", s.dir)
	s.ended()
}

// TestKeeperIsKilled: nothing outlives the keeper, and its folder can be used again.
func TestKeeperIsKilled(t *testing.T) {
	s := newShell(t)
	state := s.up("-n", "2")
	if err := state.Keeper.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, id := range s.processes {
		s.awaitEnd(id)
	}
	s.refused(1, "the keeper had ended before", "cluster", "down", "--dir", s.dir)
	s.ended()
	s.up("-n", "1")
	s.meshctl("cluster", "down", "--dir", s.dir)
	s.ended()
}

// TestNotUp: a cluster that cannot become ready leaves nothing, and says why.
func TestNotUp(t *testing.T) {
	s := newShell(t)
	s.refused(1, "max-conns: 0; use at least 1", "cluster", "up", "--dir", s.dir, "--", "-max-conns", "0")
	s.ended()
	s.refused(1, "does not answer", "cluster", "up", "--dir", s.dir, "--store", "redis://127.0.0.1:1/0")
	s.ended()
	s.refused(1, "has ended", "cluster", "up", "--dir", s.dir, "--bin", "/bin/false")
	s.ended()
	s.refused(1, "deadline exceeded", "cluster", "up", "--dir", s.dir, "--timeout", "1ms")
	s.ended()
}
