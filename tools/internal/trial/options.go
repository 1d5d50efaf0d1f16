package trial

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/causal"
	"causalmesh/daemon"
)

// Options are what all trials understand; each uses what it has a meaning for.
type Options struct {
	// Binary is the path of causalmeshd.
	Binary   string
	Duration time.Duration
	Sessions int
	// Store is a database URL, "mem", or "" for a redis-server of the trial's own if
	// there is one to start.
	Store string
	// Transport is how clients talk to their node: one of Transports.
	Transport    string
	Propagation  causal.Propagation
	Ack          causal.Ack
	MaxMemory    daemon.Size
	PendingBytes daemon.Size
	// History is a file to write the recorded history to; "" for none.
	History string
	// MaxOps bounds the operations that are recorded; workflows are slowed down to
	// stay below it.
	MaxOps int
	Seed   uint64
	// Logs is a directory that the processes' logs are kept in; "" to throw them away.
	Logs string
	Out  io.Writer

	readGap  time.Duration // in tests: how long a node may answer no read, for partition; 0: maxReadGap
	leastOps uint64        // in tests: workflows go on until they have carried out so many
}

// Transports are the ways to a node's Unix socket: over it, through rings in shared memory,
// or through these with the table read directly. TCP is for what trials cut.
var Transports = []string{"unix", "shm", "direct"}

// transport describes it.
func (o *Options) transport() string {
	switch o.Transport {
	case "shm":
		return "through shared memory"
	case "direct":
		return "through shared memory, reading the tables directly"
	}
	return "over Unix sockets"
}

// nodes is the size of the ring: the smallest in which a node is neither head nor
// tail.
const nodes = 3

// Defaults returns the options that hold where the command line says nothing.
func Defaults(duration time.Duration) Options {
	return Options{
		Binary: besideItself("causalmeshd"), Duration: duration, Sessions: 32, MaxOps: 4 << 20, Seed: 1, Out: os.Stdout,
		Transport: Transports[0],
	}
}

// besideItself returns the path of a program in the folder of the running one.
func besideItself(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}

func (o *Options) check() error {
	switch {
	case o.Duration <= 0:
		return fmt.Errorf("%w: duration %v; use more than 0", ErrOptions, o.Duration)
	case o.Sessions < 1:
		return fmt.Errorf("%w: %d sessions; use at least 1", ErrOptions, o.Sessions)
	case !slices.Contains(Transports, o.Transport):
		return fmt.Errorf("%w: transport %q; use %s", ErrOptions, o.Transport, strings.Join(Transports, ", "))
	case o.MaxOps < 1:
		return fmt.Errorf("%w: max-ops %d; use at least 1", ErrOptions, o.MaxOps)
	}
	return nil
}

// interval is the pause between a workflow's operations that keeps all of them below
// MaxOps; 0 where they would hardly get there. A branch is one operation for the
// pace, and up to branchOps recorded ones.
func (o *Options) interval() time.Duration {
	const fastest, branchOps = 100_000, 2 // per second, and on average
	if o.Duration.Seconds()*fastest < float64(o.MaxOps) {
		return 0
	}
	return time.Duration(o.Duration.Seconds() * float64(o.Sessions) * branchOps / float64(o.MaxOps) * float64(time.Second))
}

// printf tells the reader something.
func (o *Options) printf(format string, args ...any) { fmt.Fprintf(o.Out, format, args...) }

// terminal reports whether lines on w can be redrawn.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
