package top

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"causalmesh/tools/internal/probe"
)

// answerWithin bounds a round of readings: a node that hangs holds up the others' figures
// by no more.
const answerWithin = 2 * time.Second

// Options say what to show, and how.
type Options struct {
	Root     string   // of the pins
	Admins   []string // nodes, by their admin endpoints
	Interval time.Duration
	Count    int // intervals to show, as plain text; 0: until the end, on a screen if there is one
	ASCII    bool
}

// Run shows nodes until ctx ends, the user quits or all intervals were shown.
func Run(ctx context.Context, o Options, in *os.File, out io.Writer) error {
	read := reader(probe.NewLive(o.Root, o.Admins).Read)
	screen, is := out.(*os.File)
	if o.Count > 0 || !is || !onTerminal(in, screen) {
		return write(ctx, o, read, out)
	}
	return watch(ctx, o, read, in, screen)
}

// reader reads nodes as [probe.Live] does.
type reader func(ctx context.Context, onward bool) []probe.Reading

// round is what came of reading all nodes once.
type round struct {
	readings []probe.Reading
	failed   any // a panic, and where
	stack    []byte
}

// watch shows nodes on a screen. However it ends, the terminal is given back.
func watch(ctx context.Context, o Options, read reader, in, out *os.File) (err error) {
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGQUIT)
	defer cancel()
	t := &terminal{in: in, out: out}
	if err := t.open(); err != nil {
		return err
	}
	defer t.close()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)

	s := &State{Interval: o.Interval}
	for _, address := range o.Admins {
		s.Nodes = append(s.Nodes, Node{Address: address, Rate: -1})
	}
	look := LookOf(o.ASCII)
	rounds := make(chan round, 1)
	var last time.Time // the latest readings
	begin := func() {
		onward := s.begin(last)
		go func() { rounds <- read.round(ctx, onward) }()
	}
	begin()
	next := time.NewTimer(o.Interval)
	defer next.Stop()
	due, under := false, true // whether a round is due, and whether one is under way
	keys := t.keys(ctx)
	for {
		if due && !under {
			due, under = false, true
			next.Reset(s.Interval)
			begin()
		}
		var lines []string
		lines, s.Scroll = View(s, look, t.width, t.height)
		if err := t.draw(lines); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
			t.resize()
		case <-next.C:
			due = true
		case r := <-rounds:
			under = false
			if r.failed != nil {
				t.close()
				panic(fmt.Sprintf("%v\n%s", r.failed, r.stack)) // It was another goroutine's.
			}
			last = time.Now()
			if !s.Paused {
				s.take(r.readings, last)
			}
		case typed, ok := <-keys:
			if !ok {
				return nil // The terminal has gone.
			}
			for _, k := range keysOf(typed) {
				switch k {
				case keyQuit:
					return nil
				case keySuspend:
					if err := t.suspend(); err != nil {
						return err
					}
				case keySlower, keyFaster:
					s.press(k)
					next.Reset(s.Interval)
				default:
					s.press(k)
				}
			}
		}
	}
}

// round reads once. A panic in it comes out where the terminal can be given back first.
func (read reader) round(ctx context.Context, onward bool) (r round) {
	defer func() {
		if r.failed = recover(); r.failed != nil {
			r.stack = debug.Stack()
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r.readings = read(ctx, onward)
	return r
}
