package top

import (
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// The sequences that a terminal is driven with. Those of a synchronized update (2026) are
// passed over by terminals that do not know them.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J" // alternate screen, no cursor, no wrapping
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	beginUpdate = "\x1b[?2026h"
	endUpdate   = "\x1b[?2026l"
	clearScreen = "\x1b[2J"
)

// terminal is the screen and the keys. open and close it in turns.
type terminal struct {
	in, out       *os.File
	before        *term.State // nil: closed
	width, height int
	shown         []string // what is on the screen, nil: not known
}

// onTerminal reports whether there is a screen and are keys.
func onTerminal(in, out *os.File) bool {
	return term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd()))
}

// open takes the terminal: keys come one by one from then on.
func (t *terminal) open() (err error) {
	if t.before, err = term.MakeRaw(int(t.in.Fd())); err != nil {
		return fmt.Errorf("take the terminal: %w; --once writes plain text", err)
	}
	if _, err = t.out.WriteString(enterScreen); err != nil {
		t.close()
		return err
	}
	t.resize()
	return nil
}

// close gives the terminal back as it was.
func (t *terminal) close() {
	if t.before == nil {
		return
	}
	_, _ = t.out.WriteString(leaveScreen)
	_ = term.Restore(int(t.in.Fd()), t.before)
	t.before = nil
}

// resize looks how large the window is, and forgets what it shows.
func (t *terminal) resize() {
	t.shown = nil
	var err error
	if t.width, t.height, err = term.GetSize(int(t.out.Fd())); err != nil || t.width == 0 || t.height == 0 {
		t.width, t.height = 80, 24 // Serial lines do not say.
	}
	t.width, t.height = min(t.width, mostCells), min(t.height, mostCells)
}

// mostCells bounds a window in each direction.
const mostCells = 1000

// draw writes the lines that are other than before, at once.
func (t *terminal) draw(lines []string) error {
	var b strings.Builder
	b.WriteString(beginUpdate)
	if t.shown == nil {
		b.WriteString(clearScreen)
	}
	for i, l := range lines {
		if i >= len(t.shown) || t.shown[i] != l {
			fmt.Fprintf(&b, "\x1b[%d;1H%s", i+1, l)
		}
	}
	b.WriteString(endUpdate)
	t.shown = lines
	_, err := t.out.WriteString(b.String())
	return err
}

// suspend stops this process as ^Z does, until it is told to go on.
func (t *terminal) suspend() error {
	t.close()
	if err := unix.Kill(0, unix.SIGTSTP); err != nil {
		return err
	}
	return t.open()
}

// keys are what is typed until ctx ends. The goroutine waits for one more key then: a read of
// a terminal cannot be called off.
func (t *terminal) keys(ctx context.Context) <-chan []byte {
	typed := make(chan []byte)
	go func() {
		defer close(typed)
		for {
			b := make([]byte, 64)
			n, err := t.in.Read(b)
			if err != nil {
				return
			}
			select {
			case typed <- b[:n]:
			case <-ctx.Done():
				return
			}
		}
	}()
	return typed
}
