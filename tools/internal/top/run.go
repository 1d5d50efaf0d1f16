package top

import (
	"context"
	"fmt"
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
func Run(ctx context.Context, o Options, in, out *os.File) error {
	if o.Count > 0 || !onTerminal(in, out) {
		return write(ctx, o, out)
	}
	return watch(ctx, o, in, out)
}

// round is what came of reading all nodes once.
type round struct {
	readings []probe.Reading
	failed   any // a panic, and where
	stack    []byte
}

// watch shows nodes on a screen. However it ends, the terminal is given back.
func watch(ctx context.Context, o Options, in, out *os.File) (err error) {
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
		s.Nodes = append(s.Nodes, Node{Address: address, Rate: -1, Notes: []string{"is asked"}})
	}
	look := LookOf(o.ASCII)
	live, rounds := probe.NewLive(o.Root, o.Admins), make(chan round, 1)
	var last time.Time // the latest readings
	begin := func() {
		onward := s.begin(last)
		go func() { rounds <- read(ctx, live, onward) }()
	}
	begin()
	next := time.NewTimer(o.Interval)
	defer next.Stop()
	due, under := false, true // whether a round is due, and whether one is under way
	keys := t.keys()
	for {
		if due && !under {
			due, under = false, true
			next.Reset(s.Interval)
			begin()
		}
		if err := t.draw(View(s, look, t.width, t.height)); err != nil {
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

// read is one round. A panic in it comes out where the terminal can be given back first.
func read(ctx context.Context, live *probe.Live, onward bool) (r round) {
	defer func() {
		if r.failed = recover(); r.failed != nil {
			r.stack = debug.Stack()
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r.readings = live.Read(ctx, onward)
	return r
}
