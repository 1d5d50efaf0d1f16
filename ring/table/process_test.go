package table

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"causalmesh/causal"
)

// The test binary plays other processes too: what it is told here, with the table's
// descriptor as the first that it inherits.
const (
	roleVariable = "CAUSALMESH_TABLE_TEST_ROLE"
	firstFile    = 3
)

func TestMain(m *testing.M) {
	roles := map[string]func() error{"reader": playReader, "stranger": playStranger, "without proc": playWithoutProc}
	play, other := roles[os.Getenv(roleVariable)]
	if !other {
		os.Exit(m.Run())
	}
	if err := play(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// other makes the command for another process. What it writes to stderr is the test's.
func other(role string, files ...int) *exec.Cmd {
	c := exec.Command("/proc/self/exe") // its path may be closed to other users
	c.Env = append(os.Environ(), roleVariable+"="+role)
	c.Stderr = os.Stderr
	for _, fd := range files {
		c.ExtraFiles = append(c.ExtraFiles, os.NewFile(uintptr(fd), "inherited"))
	}
	return c
}

// sealed returns a version whose value carries, as far as they fit into n bytes, a
// checksum of all of it, its number and its key.
func sealed(key []byte, number causal.Counter, n int) *causal.Version {
	v := short(key, int(number))
	v.Value = make([]byte, n, n+wordBytes)
	for at := 0; at < n; at += wordBytes {
		binary.LittleEndian.PutUint64(v.Value[at:at+wordBytes:cap(v.Value)], uint64(number)*0x9e3779b97f4a7c15+uint64(at))
	}
	copy(v.Value[min(n, 4):], binary.LittleEndian.AppendUint64(nil, uint64(v.Dot.Counter)))
	copy(v.Value[min(n, 12):], key)
	copy(v.Value, sealOf(v))
	return v
}

// sealOf is the checksum of a version: key, dot, stamp, and value but for itself.
func sealOf(v *causal.Version) []byte {
	head := binary.LittleEndian.AppendUint64(nil, uint64(v.Dot.Counter))
	head = binary.LittleEndian.AppendUint64(head, uint64(v.Stamp.Time))
	head = binary.LittleEndian.AppendUint64(head, uint64(len(v.Value)))
	c := crc32.ChecksumIEEE(append(head, v.Key...))
	c = crc32.Update(c, crc32.IEEETable, v.Value[min(len(v.Value), 4):])
	return binary.LittleEndian.AppendUint32(nil, c)[:min(len(v.Value), 4)]
}

func unbroken(v *causal.Version) bool {
	n := len(v.Value)
	return n > 0 && string(v.Value[:min(n, 4)]) == string(sealOf(v)) &&
		(n < 12 || binary.LittleEndian.Uint64(v.Value[4:]) == uint64(v.Dot.Counter)) &&
		(n < 12+len(v.Key) || string(v.Value[12:12+len(v.Key)]) == string(v.Key))
}

// Of the keys a few are hot, with values of one size: their blocks are used again and
// again, while somebody reads them.
const (
	processKeys = 20_000
	hotKeys     = 8
	hotSize     = 900
)

func processKey(i int) []byte { return fmt.Appendf(nil, "key-%d", i) }

func anyKey(rng *rand.Rand) (key []byte, hot bool) {
	if rng.Intn(4) == 0 {
		return processKey(rng.Intn(hotKeys)), true
	}
	return processKey(hotKeys + rng.Intn(processKeys-hotKeys)), false
}

// report is what a reading process says now and then.
type report struct{ reads, shortest, longest int }

// playReader reads until its standard input ends, and says how far it is.
func playReader() error {
	m, err := Attach(firstFile)
	if err != nil {
		return err
	}
	if err := unix.Close(firstFile); err != nil {
		return err
	}
	var done atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		done.Store(true)
	}()
	r, rng := m.NewReader(), rand.New(rand.NewSource(int64(os.Getpid())))
	var s causal.SignedVector
	var last causal.VectorClock
	said := report{shortest: MaxValueBytes + 1}
	for round := 1; !done.Load(); round++ {
		if r.Stability(&s); len(s.Vector) > 0 {
			if !last.AtMost(s.Vector) || s.Tag[0] != s.Tag[15] {
				return fmt.Errorf("stability %v %v after %v", s.Vector, s.Tag, last)
			}
			last = append(last[:0], s.Vector...)
		}
		for range 10 {
			key, _ := anyKey(rng)
			var v causal.Version
			if !r.Slot(key, &v) {
				continue
			}
			if !unbroken(&v) || string(v.Key) != string(key) {
				return fmt.Errorf("%s: torn, or another's: %v, %d bytes", key, v.Dot, len(v.Value))
			}
			said.reads++
			said.shortest, said.longest = min(said.shortest, len(v.Value)), max(said.longest, len(v.Value))
		}
		if round%100 == 0 {
			fmt.Println(said.reads, said.shortest, said.longest)
		}
	}
	return m.Close()
}

// readingProcess is a process that reads the table.
type readingProcess struct {
	command *exec.Cmd
	stop    io.Closer
	said    atomic.Pointer[report]
	silent  chan struct{} // closed when it will say nothing any more
}

func startReading(t *testing.T, table *Table) *readingProcess {
	t.Helper()
	fd, err := table.Share()
	if err != nil {
		t.Fatal(err)
	}
	p := &readingProcess{command: other("reader", fd), silent: make(chan struct{})}
	p.said.Store(&report{})
	stdin, err := p.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stop = stdin
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	err = p.command.Start()
	_ = p.command.ExtraFiles[0].Close() // the table's descriptor is the process's now
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.silent)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var r report
			if _, err := fmt.Sscan(lines.Text(), &r.reads, &r.shortest, &r.longest); err == nil {
				p.said.Store(&r)
			}
		}
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill()
		<-p.silent
		_ = p.command.Wait()
	})
	return p
}

func (p *readingProcess) reads() int { return p.said.Load().reads }

// gone reports whether the process has ended, which it should not by itself.
func (p *readingProcess) gone() bool {
	select {
	case <-p.silent:
		return true
	default:
		return false
	}
}

// processWriter is a writer that does all that a writer does.
type processWriter struct {
	table    *Table
	rng      *rand.Rand
	number   causal.Counter
	sizes    []int
	segments int // most of them
	merged   bool
}

// edgeSizes are the sizes of values at which something changes: words, classes of blocks,
// pages, cells, and both ends.
func edgeSizes() []int {
	sizes := []int{1, 2, 3, 4, 5, MaxValueBytes, MaxValueBytes - 1, longValue - 1, longValue, longValue + 1}
	head := int(entryBytes(uint64(len(processKey(10_000))) << keyShift))
	for c := range classes {
		for d := -1; d <= 1; d++ {
			sizes = append(sizes, max(1, int(classBytes(c))-head+d))
		}
	}
	for n := smallLimit; n < MaxValueBytes; n *= 2 {
		sizes = append(sizes, n-head-1, n-head, n-head+1, n+osPage-head, n+osPage-head+1)
	}
	return sizes
}

// round puts and replaces, and removes or evicts. The table grows for three rounds in
// four of a period and shrinks in the fourth.
func (w *processWriter) round(i int) {
	const period, budget = 1600, 64 << 20
	shrinks := i%period >= period*3/4
	for range 30 {
		key, hot := anyKey(w.rng)
		size := 1 + w.rng.Intn(60)
		if hot {
			size = hotSize
		}
		switch w.rng.Intn(50) {
		case 0:
			size = w.sizes[w.rng.Intn(len(w.sizes))]
		case 1:
			size = min(MaxValueBytes, 1+w.rng.Intn(1<<w.rng.Intn(24)))
		}
		if shrinks {
			w.table.Remove(key)
			continue
		}
		w.number++
		w.table.Put(sealed(key, w.number, size), causal.Complete)
	}
	sweep := 0
	if shrinks {
		sweep = 60
	} else if w.table.Bytes() > budget {
		sweep = 30
	}
	w.table.Sweep(sweep, w.rng.Intn(2) == 0, func(*causal.Version, causal.Presence) causal.Verdict { return causal.Remove })
	w.table.Publish(causal.SignedVector{Vector: causal.VectorClock{w.number}, Tag: causal.Tag{byte(i), 15: byte(i)}})
	w.table.Beat(uint64(i))
	w.table.Reuse()
	w.segments = max(w.segments, len(w.table.index))
	w.merged = w.merged || len(w.table.freeSegments) > len(w.table.index)/2
}

// until makes rounds until something is the case, at least so many.
func (w *processWriter) until(t *testing.T, from, least int, is func() bool, readers ...*readingProcess) int {
	t.Helper()
	i := from
	for ; i < from+least || !is(); i++ {
		w.round(i)
		for _, p := range readers {
			if p.gone() {
				t.Fatal("a reader has ended")
			}
		}
	}
	return i
}

// TestReadersInOtherProcesses: they never see half of anything while the writer puts,
// replaces, removes, evicts, splits and merges; and what becomes of them, stopped or
// killed in the middle of a read, is all the same to the writer.
func TestReadersInOtherProcesses(t *testing.T) {
	w := &processWriter{table: newMapped(t, 256<<20), rng: rand.New(rand.NewSource(10)), sizes: edgeSizes()}
	steady, victim := startReading(t, w.table), startReading(t, w.table)
	least := 1600
	if underRace {
		least = 400
	}
	i := w.until(t, 0, least, func() bool { return steady.reads() > 0 && victim.reads() > 0 }, steady, victim)

	if err := victim.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-victim.silent
	var exit *exec.ExitError
	if err := victim.command.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the victim ended with %v", err)
	}
	must(t, w.table)

	if err := steady.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	i = w.until(t, i, least, func() bool { return true }, steady)
	before := steady.reads()
	if err := steady.command.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	i = w.until(t, i, least, func() bool {
		said := steady.said.Load()
		return said.reads > 2*before && said.shortest == 1 && said.longest == MaxValueBytes && w.merged
	}, steady)

	if err := steady.stop.Close(); err != nil {
		t.Fatal(err)
	}
	<-steady.silent
	if err := steady.command.Wait(); err != nil {
		t.Fatalf("the reader ended with %v", err)
	}
	must(t, w.table)
	held, resident := w.table.Held(), residentBytes(t, w.table)
	if resident > held+held/50+1<<20 { // readers that came late have taken a page each
		t.Errorf("%d bytes are resident, %d counted", resident, held)
	}
	if w.segments < 16 {
		t.Errorf("no more than %d segments: the test shows less than it should", w.segments)
	}
	t.Logf("%+v beside %d rounds, %d segments; %d bytes counted, %d there", *steady.said.Load(), i, w.segments, held, resident)
}
