package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"causalmesh/tools/internal/process"
)

const within = 30 * time.Second

func options(t *testing.T) Options {
	t.Helper()
	return Options{Nodes: 3, Dir: t.TempDir(), Daemon: "/bin/true", Meshctl: "/bin/false", Within: within}
}

func TestPlan(t *testing.T) {
	o := options(t)
	o.Args = []string{"-max-conns", "7"}
	s, err := plan(o)
	if err != nil {
		t.Fatal(err)
	}
	addresses := map[string]bool{}
	peers := []string{}
	for _, n := range s.Nodes {
		addresses[n.TCP], addresses[n.Peer], addresses[n.Admin] = true, true, true
		peers = append(peers, n.Peer)
	}
	if len(addresses) != 9 {
		t.Errorf("three nodes share addresses: %v", addresses)
	}
	for i, n := range s.Nodes {
		line := strings.Join(n.Args, " ")
		for _, want := range []string{
			"/bin/true -node-id " + string(rune('0'+i)), "-peers " + strings.Join(peers, ","), "-listen-unix " + n.Unix,
			"-listen-tcp " + n.TCP, "-admin " + n.Admin, "-store redis+unix://" + s.Dir, "-max-conns 7",
		} {
			if !strings.Contains(line, want) {
				t.Errorf("node %d: no %q in %s", i, want, line)
			}
		}
	}
	if s.Store == nil || s.members()[0] != s.Store || len(s.members()) != 4 {
		t.Error("the embedded database does not start first")
	}
	o.Store = "redis://u:secret@127.0.0.1:6379/0"
	if s, err = plan(o); err != nil || s.Store != nil || s.StoreURL != o.Store {
		t.Errorf("with a database of its own: %+v, %v", s, err)
	}
	if text, err := json.Marshal(s.Redacted()); err != nil || strings.Contains(string(text), "secret") {
		t.Errorf("%v: a password is shown: %s", err, text)
	}
	if !strings.Contains(strings.Join(s.Nodes[0].Args, " "), "secret") {
		t.Error("showing a state has changed it")
	}
}

func TestBadOptions(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"no nodes":       {func(o *Options) { o.Nodes = 0 }, "-n 1 to"},
		"too many":       {func(o *Options) { o.Nodes = 65 }, "-n 1 to"},
		"no program":     {func(o *Options) { o.Daemon = "/no/such/causalmeshd" }, "--bin"},
		"a folder":       {func(o *Options) { o.Daemon = "/bin" }, "--bin"},
		"long path":      {func(o *Options) { o.Dir += strings.Repeat("/long", 30) }, "shorter --dir"},
		"its own flag":   {func(o *Options) { o.Args = []string{"-store", "mem"} }, "-store is set for each node"},
		"its own, =":     {func(o *Options) { o.Args = []string{"--node-id=1"} }, "--node-id=1 is set for each node"},
		"another config": {func(o *Options) { o.Args = []string{"-config", "x"} }, "-config is set"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			c.change(&o)
			if _, err := plan(o); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want ErrOptions with %q", err, c.says)
			}
		})
	}
}

func TestState(t *testing.T) {
	s, err := plan(options(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Read(s.Dir); !errors.Is(err, ErrNone) {
		t.Errorf("%v, want ErrNone", err)
	}
	if _, err := Down(t.Context(), s.Dir, within); !errors.Is(err, ErrNone) {
		t.Errorf("down: %v, want ErrNone", err)
	}
	if err := s.create(); err != nil {
		t.Fatal(err)
	}
	if err := s.create(); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "cluster down") {
		t.Errorf("%v, want ErrExists", err)
	}
	s.Fault = "changed"
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(s.Dir); err != nil || got.Fault != "changed" || len(got.Nodes) != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	// Nothing was started, so there is nothing to end.
	const soon = 10 * time.Millisecond
	if _, err := Down(t.Context(), s.Dir, soon); err != nil {
		t.Error(err)
	}
	if files, err := os.ReadDir(s.Dir); err != nil || len(files) != 0 {
		t.Errorf("%v, %v are left", files, err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(s.Dir); !errors.Is(err, ErrState) {
		t.Errorf("%v, want ErrState", err)
	}
}

// keep runs a keeper on shell scripts in place of nodes, until the condition holds.
func keep(t *testing.T, until func(*State) bool, scripts ...string) *State {
	t.Helper()
	o := options(t)
	o.Nodes, o.Store = len(scripts), "mem"
	s, err := plan(o)
	if err != nil {
		t.Fatal(err)
	}
	for i, script := range scripts {
		s.Nodes[i].Args = []string{"/bin/sh", "-c", script}
	}
	if err := s.create(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended, dir := make(chan error, 1), s.Dir
	go func() { ended <- Keep(ctx, dir) }()
	for deadline := time.Now().Add(within); ; time.Sleep(pollEvery) {
		if s, err = Read(dir); err != nil {
			t.Fatal(err)
		}
		if until(s) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("never: %+v", s)
		}
	}
	cancel()
	select {
	case err = <-ended:
	case <-time.After(within):
		t.Fatal("the keeper does not end")
	}
	if err != nil && s.Fault == "" {
		t.Error(err)
	}
	for _, m := range s.members() {
		if m.Process != nil && m.Process.Runs() {
			t.Errorf("%s still runs", m.Name)
		}
	}
	if s, err = Read(s.Dir); err != nil {
		t.Fatal(err)
	}
	return s
}

// says waits until a script has written something, so that it is under way.
func says(s *State, node int, text string) bool {
	log, err := os.ReadFile(s.Nodes[node].Log)
	return err == nil && strings.Contains(string(log), text)
}

// TestKeeper: how processes end is on record.
func TestKeeper(t *testing.T) {
	const serve = "; echo up; while :; do sleep 0.01; done"
	s := keep(t, func(s *State) bool {
		return says(s, 0, "up") && says(s, 1, "up") && s.Nodes[2].Exit != nil && s.Nodes[3].Exit != nil
	}, "trap 'exit 0' TERM"+serve, "trap 'exit 3' TERM"+serve, "exit 5", "exit 0")
	for i, want := range []struct {
		well, asked bool
		how         string
	}{
		{true, true, "exit status 0"}, {false, true, "exit status 3"},
		{false, false, "exit status 5"}, {true, false, "exit status 0"},
	} {
		if e := s.Nodes[i].Exit; e == nil || e.Well != want.well || e.Asked != want.asked || e.How != want.how {
			t.Errorf("node %d: %+v, want %+v", i, e, want)
		}
	}
}

func TestKeeperCannotStart(t *testing.T) {
	o := options(t)
	o.Nodes, o.Store = 1, "mem"
	s, err := plan(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Nodes[0].Args[0] = "/no/such/program"
	if err := s.create(); err != nil {
		t.Fatal(err)
	}
	if err := Keep(t.Context(), s.Dir); err == nil {
		t.Error("no error")
	}
	if s, err = Read(s.Dir); err != nil || !strings.Contains(s.Fault, "/no/such/program") || failed(s) == nil {
		t.Errorf("%+v, %v: want what could not be started", s, err)
	}
}

// TestDownBeforeKeeper: a keeper that starts while Down is under way is not left
// behind, nor brings the state file back.
func TestDownBeforeKeeper(t *testing.T) {
	s, err := plan(options(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.create(); err != nil {
		t.Fatal(err)
	}
	program := exec.Command("/bin/sleep", "60")
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = program.Wait() }()
	id, err := process.Identify(program.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = id.Signal(syscall.SIGKILL) })
	// On the virtual clock Down does not give up before the keeper registers, and not
	// before the process has ended, which takes real time.
	const everPatient = 10_000 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		down := make(chan error, 1)
		go func() { _, err := Down(t.Context(), s.Dir, everPatient); down <- err }()
		synctest.Wait() // Down has read that there is no keeper, and waits.
		s.Keeper = &id
		if err := s.save(); err != nil {
			t.Fatal(err)
		}
		if err := <-down; err != nil || id.Runs() {
			t.Errorf("%v; the keeper runs: %v", err, id.Runs())
		}
	})
	if _, err := Read(s.Dir); !errors.Is(err, ErrNone) {
		t.Errorf("%v, want ErrNone", err)
	}
}
