package looptest_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
	"causalmesh/ring/looptest"
	"causalmesh/ring/netloop"
	"causalmesh/ring/uring"
)

// The implementations side by side. Each serves from a process of its own: in one
// process the net package's server and a client would only switch goroutines.
var implementations = map[string]func(ring.Options) (ring.Loop, error){
	"net":   func(o ring.Options) (ring.Loop, error) { return netloop.New(o), nil },
	"uring": func(o ring.Options) (ring.Loop, error) { return uring.New(o) },
}

// serverVariable makes this test binary a server: "implementation network address".
const serverVariable = "LOOPTEST_SERVER"

func TestMain(m *testing.M) {
	if what := os.Getenv(serverVariable); what != "" {
		if err := serve(strings.Fields(what)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve echoes until its standard input ends. It prints the address.
func serve(what []string) error {
	l, err := implementations[what[0]](ring.Options{})
	if err != nil {
		return err
	}
	address, err := l.Listen(1, what[1], what[2])
	if err != nil {
		return err
	}
	fmt.Println(address)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		l.Stop(0)
	}()
	return l.Run(&looptest.Handler{Loop: l})
}

// server starts one, which ends with the benchmark.
func server(b *testing.B, implementation, network string) (address string, pid int) {
	b.Helper()
	address = "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(b.TempDir(), "s")
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), serverVariable+"="+implementation+" "+network+" "+address)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		_ = c.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Skipf("NOT MEASURED: the server does not start: %v", err)
	}
	return strings.TrimSpace(line), c.Process.Pid
}

// cpuTime is what this process and the server have used.
func cpuTime(b *testing.B, server int) time.Duration {
	const processClock = 2 // CPUCLOCK_SCHED of the whole process, as in the kernel's clock ids
	sum := time.Duration(0)
	for _, clock := range []int32{unix.CLOCK_PROCESS_CPUTIME_ID, int32(^server)<<3 | processClock} {
		var t unix.Timespec
		if err := unix.ClockGettime(clock, &t); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(t.Nano())
	}
	return sum
}

// dialRaw connects a socket that blocks: the client costs as little as it can.
func dialRaw(b *testing.B, network, address string) int {
	b.Helper()
	nc := looptest.Dial(b, network, address)
	f, err := nc.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return int(f.Fd()) // Fd makes it block.
}

func exchange(b *testing.B, fd int, messages, answers []byte) {
	if n, err := unix.Write(fd, messages); n != len(messages) {
		b.Errorf("wrote %d bytes: %v", n, err)
		return
	}
	for got := 0; got < len(answers); {
		n, err := unix.Read(fd, answers[got:])
		if n <= 0 {
			b.Errorf("read %d bytes: %v", n, err)
			return
		}
		got += n
	}
}

// compare runs a benchmark over both networks and implementations.
func compare(b *testing.B, conns, depth int) {
	for _, network := range looptest.Networks {
		for _, implementation := range []string{"net", "uring"} {
			b.Run(network+"/"+implementation, func(b *testing.B) { measure(b, implementation, network, conns, depth) })
		}
	}
}

// measure counts one message as one operation.
func measure(b *testing.B, implementation, network string, conns, depth int) {
	address, pid := server(b, implementation, network)
	var fds []int
	for range conns {
		fds = append(fds, dialRaw(b, network, address))
	}
	messages := bytes.Repeat(looptest.Frame(bytes.Repeat([]byte("x"), 60)), depth)
	rounds := b.N/(conns*depth) + 1
	before := cpuTime(b, pid)
	b.ResetTimer()
	var wg sync.WaitGroup
	for _, fd := range fds {
		wg.Go(func() {
			answers := bytes.Clone(messages)
			for range rounds {
				exchange(b, fd, messages, answers)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	used := cpuTime(b, pid) - before
	b.ReportMetric(float64(used)/float64(rounds*conns*depth), "cpu-ns/op")
}

func BenchmarkPingPong(b *testing.B) { compare(b, 1, 1) }

func BenchmarkPipelined(b *testing.B) { compare(b, 16, 32) }
