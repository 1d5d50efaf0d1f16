package process

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"runtime"
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

// used is what getrusage(2) says of this process, all of its threads and those that have ended.
func used(t *testing.T) (user, system time.Duration) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}

// TestCPUTime: the result lies between two readings of getrusage(2).
func TestCPUTime(t *testing.T) {
	id, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	frequency, err := ticksPerSecond()
	if err != nil {
		t.Fatal(err)
	}
	tick := time.Second / time.Duration(frequency)
	check := func() {
		t.Helper()
		user, system := used(t)
		got, err := CPUTime(id)
		userAfter, systemAfter := used(t)
		// Both parts are rounded down: here to ticks, and there to µs.
		const unit = time.Microsecond
		if least, most := user+system-2*tick, userAfter+systemAfter+2*unit; err != nil || got <= least || got > most {
			t.Errorf("%v, %v; want more than %v, and %v at most", got, err, least, most)
		}
	}
	check()
	// Enough of both parts to see that none is missing, and by a thread that ends.
	user, system := used(t)
	const enough = 5
	burnt := make(chan struct{})
	go func() {
		defer close(burnt)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		for {
			u, s := used(t)
			if u-user >= enough*tick && s-system >= enough*tick {
				return
			}
			if u-user < enough*tick {
				for range 100_000 {
				}
			}
		}
	}()
	<-burnt
	check()
}

func TestIdentity(t *testing.T) {
	command := exec.Command("/bin/sleep", "600")
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
	for deadline := time.Now().Add(time.Minute); id.Runs(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it still runs after SIGKILL")
		}
	}
	_, ended = command.Wait(), true
	if _, err := CPUTime(id); !errors.Is(err, ErrGone) {
		t.Errorf("CPU time of a process that has ended: %v, want ErrGone", err)
	}
}
