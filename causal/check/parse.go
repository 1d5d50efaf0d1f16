package check

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"causalmesh/causal"
)

// maxLineBytes bounds one line of the text form: a ReadMany of thousands of keys.
const maxLineBytes = 1 << 20

// textReader takes one line apart, field by field. The first field that is wrong
// sets err, and then nothing more is taken.
type textReader struct {
	rest string
	err  error
}

// Decode reads the text form of a history. It holds no more memory than the
// history itself; whether that makes sense is for Check to say.
func Decode(r io.Reader) (*History, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 1<<16), maxLineBytes)
	d := decoder{history: new(History)}
	n := 0
	for !d.ended && lines.Scan() {
		n++
		if err := d.line(n, lines.Bytes()); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrSyntax, n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%w: line %d is longer than %d bytes", ErrSyntax, n+1, maxLineBytes)
	case err != nil:
		return nil, fmt.Errorf("reading a history after line %d: %w", n, err)
	case !d.ended:
		return nil, fmt.Errorf("%w: cut short after line %d", ErrSyntax, n)
	}
	return d.history, nil
}

// decoder holds the history so far, and what the next lines belong to.
type decoder struct {
	history *History
	process *Process
	server  *ServerState
	items   []Item
	ended   bool
}

func (d *decoder) line(n int, line []byte) error {
	if n == 1 {
		if string(line) != textHeader {
			return fmt.Errorf("starts with %q, not with %q", line, textHeader)
		}
		return nil
	}
	if string(line) == "end" {
		d.ended = true
		return nil
	}
	if len(line) == 0 {
		return errors.New("is empty")
	}
	t := &textReader{rest: string(line[1:])}
	switch letter := line[0]; letter {
	case 'w', 'd', 'r', 'm', 'j':
		if d.process == nil {
			return errors.New("has an operation before the first process")
		}
		d.op(letter, t)
	case 'i':
		if d.server == nil {
			return errors.New("has an item before the first server")
		}
		d.server.Items = append(d.server.Items, t.item())
	default:
		d.declaration(letter, t)
	}
	if t.err == nil && t.rest != "" {
		t.err = fmt.Errorf("has %q too much", t.rest)
	}
	return t.err
}

// declaration reads a line that is no operation and no item.
func (d *decoder) declaration(letter byte, t *textReader) {
	h := d.history
	switch letter {
	case 'x':
		h.CleanRestarts = true
	case 'k':
		h.Keys = append(h.Keys, t.name())
	case 'f':
		h.Foreign = append(h.Foreign, Foreign{Key: t.key(), Value: ValueID(t.number(math.MaxUint64))})
	case 'g':
		h.Purged = append(h.Purged, t.key())
	case 'p':
		epoch := causal.Epoch(t.number(math.MaxUint64))
		name := t.name()
		d.process = h.Start(name, epoch, t.positions()...)
	case 's':
		h.Final = append(h.Final, ServerState{
			Server:  causal.ReplicaID(t.number(math.MaxUint8)),
			Pending: int(t.number(math.MaxInt32)),
		})
		d.server = &h.Final[len(h.Final)-1]
	default:
		t.fail("starts with %q, which means nothing", letter)
	}
}

func (d *decoder) op(letter byte, t *textReader) {
	p := d.process
	switch letter {
	case 'w':
		key, value := t.key(), ValueID(t.number(math.MaxUint64))
		dot, stamp := t.dot(), t.stamp()
		p.Write(key, value, Outcome(t.letter(outcomeLetters)), dot, stamp)
	case 'd':
		key, dot, stamp := t.key(), t.dot(), t.stamp()
		p.Delete(key, Outcome(t.letter(outcomeLetters)), dot, stamp)
	case 'r':
		p.Read(t.item())
	case 'm':
		d.items = d.items[:0]
		for t.rest != "" && t.err == nil {
			d.items = append(d.items, t.item())
		}
		p.ReadMany(d.items...)
	case 'j':
		p.Join(t.positions()...)
	}
}

func (t *textReader) fail(format string, args ...any) {
	if t.err == nil {
		t.err = fmt.Errorf(format, args...)
	}
}

// field takes what is left up to the next space.
func (t *textReader) field() string {
	f, _, _ := strings.Cut(t.rest, " ")
	t.rest = t.rest[len(f):]
	return f
}

// separator takes one byte that must be there.
func (t *textReader) separator(b byte) {
	if t.err != nil {
		return
	}
	if t.rest == "" || t.rest[0] != b {
		t.fail("lacks %q before %q", b, t.rest)
		return
	}
	t.rest = t.rest[1:]
}

// digits takes a number, written without superfluous zeros, up to most.
func (t *textReader) digits(most uint64) uint64 {
	n := 0
	for n < len(t.rest) && t.rest[n] >= '0' && t.rest[n] <= '9' {
		n++
	}
	text := t.rest[:n]
	if t.err != nil {
		return 0
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil || v > most || len(text) > 1 && text[0] == '0' {
		t.fail("has %q where a number up to %d belongs", t.field(), most)
		return 0
	}
	t.rest = t.rest[n:]
	return v
}

func (t *textReader) number(most uint64) uint64 {
	t.separator(' ')
	return t.digits(most)
}

func (t *textReader) key() KeyID { return KeyID(t.number(math.MaxInt32)) }

func (t *textReader) letter(letters string) int {
	t.separator(' ')
	f := t.field()
	if len(f) == 1 {
		if i := strings.IndexByte(letters, f[0]); i >= 0 {
			return i
		}
	}
	t.fail("has %q where one of %q belongs", f, letters)
	return 0
}

func (t *textReader) name() string {
	t.separator(' ')
	if t.err != nil {
		return ""
	}
	quoted, err := strconv.QuotedPrefix(t.rest)
	if err != nil || quoted[0] != '"' {
		t.fail("has %q where a quoted name belongs", t.rest)
		return ""
	}
	t.rest = t.rest[len(quoted):]
	name, err := strconv.Unquote(quoted)
	if err != nil {
		t.fail("has the name %s: %w", quoted, err)
	}
	return name
}

func (t *textReader) positions() []Position {
	var positions []Position
	for t.rest != "" && t.err == nil {
		id := ProcessID(t.number(math.MaxInt32))
		t.separator(':')
		positions = append(positions, Position{Process: id, Ops: OpIndex(t.digits(math.MaxInt32))})
	}
	return positions
}

func (t *textReader) item() Item {
	it := Item{Key: t.key()}
	it.Seen = Seen(t.letter(seenLetters))
	it.Value = ValueID(t.number(math.MaxUint64))
	it.Dot = t.dot()
	it.Stamp = t.stamp()
	return it
}

func (t *textReader) dot() causal.Dot {
	d := causal.Dot{Origin: causal.ReplicaID(t.number(math.MaxUint8))}
	t.separator('.')
	d.Incarnation = causal.Incarnation(t.digits(math.MaxUint16))
	t.separator('.')
	d.Counter = causal.Counter(t.digits(math.MaxUint64))
	return d
}

func (t *textReader) stamp() causal.Stamp {
	s := causal.Stamp{Time: causal.Time(t.number(math.MaxUint64))}
	t.separator('@')
	s.Origin = causal.ReplicaID(t.digits(math.MaxUint8))
	return s
}
