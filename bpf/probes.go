package bpf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"causalmesh/bpf/watch"
)

// Target is a daemon to follow.
type Target struct {
	Node  string // names the folder of pins
	PID   int    // in the first PID namespace
	Boot  uint64 // of the daemon's life, as it says in its status
	Loops int
}

// About is what On has noted.
type About struct {
	PID      int
	Boot     uint64
	Loops    int
	Attached time.Duration // by the monotonic clock
}

// ringsEvery is the pause between two looks at how many rings are found.
const ringsEvery = 2 * time.Millisecond

// attach attaches probes to a daemon that runs, and pins them. It is ErrOn if there are pins,
// whosever they are. When it fails it leaves nothing.
func attach(ctx context.Context, root string, t Target) error {
	l, err := load(uint32(t.PID))
	if err != nil {
		return err
	}
	defer l.close()
	f := folderOf(root, t.Node)
	if err = f.create(); errors.Is(err, ErrOn) {
		return err // It is somebody's.
	}
	if err == nil {
		err = l.findRings(ctx, t)
	}
	if err == nil {
		// Each sees what the next one needs: an answer is to be counted only if the request
		// could be. But on_sent goes by what on_submit has noted.
		err = l.attach(onReady, onReceived, onSent, onAnswered)
	}
	if err == nil {
		err = l.note(t)
	}
	if err == nil {
		err = f.pin(l)
	}
	if err == nil {
		if err = setWatch(ctx, t.PID, t.Boot, true); err != nil {
			_ = setWatch(context.Background(), t.PID, t.Boot, false)
		}
	}
	if err != nil && f.there() == nil {
		err = errors.Join(err, f.remove())
	}
	return err
}

// setWatch has a daemon time the requests that the kernel does not see, or not any more. One
// that cannot be asked is followed without them: it may be older, or somebody else's.
func setWatch(ctx context.Context, pid int, boot uint64, on bool) error {
	if err := watch.Set(ctx, pid, boot, on); !errors.Is(err, watch.ErrNone) {
		return err
	}
	return nil
}

// findRings has the daemon's loops noted.
func (l *loaded) findRings(ctx context.Context, t Target) error {
	if err := l.attach(onWait); err != nil {
		return err
	}
	tick := time.NewTicker(ringsEvery)
	defer tick.Stop()
	for {
		found := 0
		var address uint64
		var r requestsCmRing
		for all := l.Maps[requestsMapRings].Iterate(); all.Next(&address, &r); {
			found++
		}
		if found >= t.Loops {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: process %d has %d loops, %d rings were seen: %w; is that its process id in this PID namespace?",
				ErrRings, t.PID, t.Loops, found, ctx.Err())
		case <-tick.C:
		}
	}
}

// note leaves word for those who look at the pins.
func (l *loaded) note(t Target) error {
	if err := setOutlier(l.Maps[requestsMapSettings], DefaultOutlier); err != nil {
		return err
	}
	return l.Maps[requestsMapAbout].Put(uint32(0), &requestsCmAbout{
		Pid: uint32(t.PID), Loops: uint32(t.Loops), Boot: t.Boot, Attached: uint64(monotonic()),
	})
}

// monotonic is the clock that the programs read.
func monotonic() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(fmt.Sprintf("bpf: no monotonic clock: %v", err)) // Every Linux has one.
	}
	return time.Duration(t.Nano())
}

// WallTime is the time of day of an instant of the monotonic clock.
func WallTime(at time.Duration) time.Time { return time.Now().Add(at - monotonic()) }

// Off detaches a node's probes and removes their pins. It is ErrOff if there are none.
func Off(root, node string) error {
	var err error
	if p, bad := Open(root, node); bad == nil {
		if a, bad := p.About(); bad == nil {
			err = setWatch(context.Background(), a.PID, a.Boot, false)
		}
		p.Close()
	}
	return errors.Join(err, folderOf(root, node).remove())
}

// Unwatch has a daemon time no requests in shared memory any more. Off does that, too.
func Unwatch(t Target) error { return setWatch(context.Background(), t.PID, t.Boot, false) }

// Probes are a node's pinned probes. Close lets go of them; they go on.
type Probes struct {
	maps     map[string]*ebpf.Map
	programs map[string]*ebpf.Program
}

// Open opens a node's probes. It is ErrOff if there are none.
func Open(root, node string) (*Probes, error) {
	f := folderOf(root, node)
	if err := f.there(); err != nil {
		return nil, err
	}
	p := &Probes{map[string]*ebpf.Map{}, map[string]*ebpf.Program{}}
	for _, name := range []string{requestsMapAbout, requestsMapHistograms, requestsMapLosses, requestsMapOperations} {
		m, err := ebpf.LoadPinnedMap(f.mapped(name), &ebpf.LoadPinOptions{ReadOnly: true})
		if err != nil {
			p.Close()
			return nil, damaged(f.mapped(name), err)
		}
		p.maps[name] = m
	}
	if size := p.maps[requestsMapHistograms].ValueSize(); size != histogramBytes {
		p.Close()
		return nil, damaged(f.mapped(requestsMapHistograms), fmt.Errorf("values of %d bytes, not %d", size, histogramBytes))
	}
	for _, name := range pinnedPrograms {
		g, err := ebpf.LoadPinnedProgram(f.program(name), nil)
		if name == onSent && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			p.Close()
			return nil, damaged(f.program(name), err)
		}
		p.programs[name] = g
	}
	return p, nil
}

// damaged says what is wrong with a pin.
func damaged(path string, err error) error {
	return fmt.Errorf("%w: %s: %w; meshctl probe off removes them", ErrPins, path, err)
}

// Close lets go of the probes.
func (p *Probes) Close() {
	for _, m := range p.maps {
		_ = m.Close()
	}
	for _, g := range p.programs {
		_ = g.Close()
	}
}

// About tells whose probes they are.
func (p *Probes) About() (About, error) {
	var a requestsCmAbout
	if err := p.maps[requestsMapAbout].Lookup(uint32(0), &a); err != nil {
		return About{}, err
	}
	return About{PID: int(a.Pid), Boot: a.Boot, Loops: int(a.Loops), Attached: time.Duration(a.Attached)}, nil
}
