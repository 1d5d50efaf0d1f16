package probe

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causalmesh/bpf"
	"causalmesh/tools/internal/admin"
	"causalmesh/tools/internal/rig"
)

var single = rig.Config{Nodes: 1, Store: "mem", Flags: []string{"--io", "uring"}}

// look tells how the first node's probes are, and what is shown of it.
func (b *bench) look() (State, string) {
	b.t.Helper()
	s, err := Look(b.ctx, b.root, b.Nodes[0].Admin)
	if err != nil {
		b.t.Fatal(err)
	}
	var text strings.Builder
	if err := WriteStates(&text, []State{s}); err != nil {
		b.t.Fatal(err)
	}
	return s, text.String()
}

func TestOnAndOff(t *testing.T) {
	b := start(t, single)
	if s, text := b.look(); s.On || !strings.Contains(text, " off ") {
		t.Errorf("%+v\n%s", s, text)
	}
	if c, err := Off(b.ctx, b.root, b.Nodes[0].Admin); err != nil || !c.Already {
		t.Errorf("off: %+v, %v", c, err)
	}
	b.probe()
	if c, err := On(b.ctx, b.root, b.Nodes[0].Admin); err != nil || !c.Already {
		t.Errorf("on: %+v, %v", c, err)
	}
	if s, text := b.look(); !s.On || len(s.Programs) != 5 || s.Programs[0].ID == 0 || !strings.Contains(text, " on ") {
		t.Errorf("%+v\n%s", s, text)
	}
	var text strings.Builder
	if err := WriteLatency(&text, []Latency{{Node: "0"}}); err != nil || !strings.Contains(text.String(), "QUEUE") {
		t.Errorf("%v: %s", err, &text)
	}
	if c, err := Off(b.ctx, b.root, b.Nodes[0].Admin); err != nil || c.Already {
		t.Errorf("off: %+v, %v", c, err)
	}
	_, err := Read(b.ctx, b.root, []string{b.Nodes[0].Admin}, 0)
	if !errors.Is(err, bpf.ErrOff) || !strings.Contains(err.Error(), "meshctl probe on") {
		t.Errorf("read: %v", err)
	}
	if _, err := os.Stat(b.root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", b.root, err)
	}
}

// Probes of a daemon that has ended are replaced, those of one that runs are not.
func TestAnotherDaemonOfTheSameName(t *testing.T) {
	first := start(t, single)
	first.probe()
	second := start(t, single)
	_, err := On(second.ctx, second.root, second.Nodes[0].Admin)
	if !errors.Is(err, bpf.ErrTaken) || !strings.Contains(err.Error(), "meshctl probe off") {
		t.Errorf("beside one that runs: %v", err)
	}
	if s, text := second.look(); s.On || !strings.Contains(text, "which runs") {
		t.Errorf("%+v\n%s", s, text)
	}
	first.Kill()
	if s, text := second.look(); s.On || !strings.Contains(text, bpf.ErrStale.Error()) {
		t.Errorf("%+v\n%s", s, text)
	}
	second.probe()
	second.write(1)
	second.check(second.latency(), "write", 1)
}

// What On could not finish, and what is damaged, can be taken off.
func TestDamagedPins(t *testing.T) {
	b := start(t, single)
	b.probe()
	if err := os.Remove(filepath.Join(b.root, "0", "maps", "operations")); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(b.ctx, b.root, []string{b.Nodes[0].Admin}, 0); !errors.Is(err, bpf.ErrPins) || !strings.Contains(err.Error(), "probe off") {
		t.Errorf("read: %v", err)
	}
	if _, err := On(b.ctx, b.root, b.Nodes[0].Admin); !errors.Is(err, bpf.ErrPins) {
		t.Errorf("on: %v", err)
	}
	if _, err := Off(b.ctx, b.root, b.Nodes[0].Admin); err != nil {
		t.Errorf("off: %v", err)
	}
	b.probe()
}

// A daemon without io_uring is refused, and says so itself.
func TestNotOverURing(t *testing.T) {
	b := start(t, rig.Config{Nodes: 1, Store: "mem", Flags: []string{"--io", "net"}})
	if _, err := On(b.ctx, b.root, b.Nodes[0].Admin); !errors.Is(err, ErrNode) || !strings.Contains(err.Error(), "--io uring") {
		t.Errorf("%v", err)
	}
}

// Strange statuses are errors.
func TestTargetOf(t *testing.T) {
	const good = `{"boot":"00000000000000ff","process":{"pid":7},"config":{"io":"uring","loops":3},"server":{"node":2},"new":1}`
	if got, err := targetOf([]byte(good)); err != nil || got != (bpf.Target{Node: "2", PID: 7, Boot: 255, Loops: 3}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, c := range []struct {
		old, new string
		want     error
	}{
		{`"00000000000000ff"`, `"boot"`, admin.ErrAnswer},
		{`{"pid":7}`, `{"pid":-7}`, admin.ErrAnswer},
		{`{"pid":7}`, `[]`, admin.ErrAnswer},
		{`"loops":3`, `"loops":0`, admin.ErrAnswer},
		{`"uring"`, `"net"`, ErrNode},
		{`,"server":{"node":2}`, ``, ErrNode},
		{`{"node":2}`, `{"node":-2}`, admin.ErrAnswer},
		{good, `<html>`, admin.ErrAnswer},
	} {
		if _, err := targetOf([]byte(strings.Replace(good, c.old, c.new, 1))); !errors.Is(err, c.want) {
			t.Errorf("%s in place of %s: %v, want %v", c.new, c.old, err, c.want)
		}
	}
}
