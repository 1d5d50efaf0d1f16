package process

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const tail = " S 1 2 3 4 5 6 7 8 9 10 111 222 15 16 17 18 19 20 333 24"
	for _, c := range []struct {
		name, text string
		want       stat
		bad        bool
	}{
		{"plain", "42 (cat)" + tail, stat{user: 111, system: 222, started: 333}, false},
		{"a name like a line", "42 (a) R 9 9 (b) x)" + tail, stat{user: 111, system: 222, started: 333}, false},
		{"a zombie", "42 (cat) Z" + tail[2:], stat{zombie: true, user: 111, system: 222, started: 333}, false},
		{"empty", "", stat{}, true},
		{"cut short", "42 (cat) S 1 2 3", stat{}, true},
		{"no number", "42 (cat) S 1 2 3 4 5 6 7 8 9 10 x 222 15 16 17 18 19 20 333 24", stat{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseStat([]byte(c.text))
			if c.bad {
				if !errors.Is(err, ErrProc) {
					t.Fatalf("got %+v, %v, want ErrProc", got, err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Fatalf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (cat) S 1 2 3 4 5 6 7 8 9 10 111 222 15 16 17 18 19 20 333 24"))
	f.Add([]byte(")"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := parseStat(text); err != nil && !errors.Is(err, ErrProc) {
			t.Fatal(err)
		}
	})
}

func TestParseAuxv(t *testing.T) {
	words := func(w ...uint64) (b []byte) {
		for _, v := range w {
			b = binary.NativeEndian.AppendUint64(b, v)
		}
		return b
	}
	if got, err := parseAuxv(words(6, 4096, 17, 100, 0, 0)); err != nil || got != 100 {
		t.Errorf("got %d, %v, want 100", got, err)
	}
	for _, bad := range [][]byte{nil, words(6, 17), words(17), words(17, 0)} {
		if got, err := parseAuxv(bad); !errors.Is(err, ErrProc) {
			t.Errorf("%v: got %d, %v, want ErrProc", bad, got, err)
		}
	}
}

// TestCPUTime burns time and asks whether it was counted.
func TestCPUTime(t *testing.T) {
	id, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	before, err := CPUTime(id)
	if err != nil {
		t.Fatal(err)
	}
	var usage syscall.Rusage
	spent := func() time.Duration {
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			t.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	const burn, slack = 200 * time.Millisecond, 50 * time.Millisecond
	start := spent()
	for spent()-start < burn {
	}
	after, err := CPUTime(id)
	truth := spent() - start
	if got := after - before; err != nil || got < truth-slack || got > truth+slack {
		t.Fatalf("counted %v, %v; the process used %v", got, err, truth)
	}
}

func TestIdentity(t *testing.T) {
	command := exec.Command("/bin/sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	defer func() {
		if !ended {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
	}()
	id, err := Identify(command.Process.Pid)
	if err != nil || !id.Runs() {
		t.Fatalf("%+v, %v: it runs", id, err)
	}
	for name, other := range map[string]Identity{
		"an earlier process": {PID: id.PID, Started: id.Started - 1, Boot: id.Boot},
		"of another boot":    {PID: id.PID, Started: id.Started, Boot: "another"},
	} {
		if other.Runs() {
			t.Errorf("%s: it does not run", name)
		}
		if err := other.Signal(syscall.SIGKILL); !errors.Is(err, ErrGone) {
			t.Errorf("%s: signal: %v, want ErrGone", name, err)
		}
	}
	if !id.Runs() {
		t.Fatal("a signal to another process has ended this one")
	}
	if err := id.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// Until Wait it is a zombie, which has ended too.
	for deadline := time.Now().Add(5 * time.Second); id.Runs(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it still runs after SIGKILL")
		}
	}
	_, ended = command.Wait(), true
	if _, err := CPUTime(id); !errors.Is(err, ErrGone) {
		t.Errorf("CPU time of a process that has ended: %v, want ErrGone", err)
	}
}
