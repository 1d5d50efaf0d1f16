package check

import (
	"bufio"
	"fmt"
	"io"
	"strconv"

	"causalmesh/causal"
)

// The text form of a history has one record per line: a letter, then fields
// separated by one space. Names are quoted as in Go. Operations belong to the
// process line above them, the items of a server to the server line above them.
//
//	causalmesh-history 1
//	x                                       restarts were clean
//	k name                                  the next key
//	f key value                             a foreign write; 0 is a delete
//	g key                                   its tombstone was dropped after its grace
//	p epoch name process:ops …              the next process, and its parents
//	w key value dot stamp outcome           write; outcome is a, u or r
//	d key dot stamp outcome                 delete
//	r key seen value dot stamp              read; seen is n, v, t or e
//	m key seen value dot stamp …            read-many
//	j process:ops …                         join
//	s server pending                        the next server's final state
//	i key seen value dot stamp              what it answers for a key
//	end
//
// A dot is origin.incarnation.counter, a stamp is time@origin; what is not known
// is written as zeros. The last line tells a whole file from one cut short.
const textHeader = "causalmesh-history 1"

const (
	seenLetters    = "nvte" // by Seen
	outcomeLetters = "aur"  // by Outcome
)

// textWriter builds one line at a time.
type textWriter struct {
	out  *bufio.Writer
	line []byte
	err  error
}

// Encode writes the history in text form.
func (h *History) Encode(w io.Writer) error {
	t := &textWriter{out: bufio.NewWriterSize(w, 1<<16)}
	t.line = append(t.line, textHeader...)
	t.end()
	if h.CleanRestarts {
		t.start('x')
		t.end()
	}
	for _, name := range h.Keys {
		t.start('k')
		t.name(name)
		t.end()
	}
	for _, f := range h.Foreign {
		t.start('f')
		t.number(uint64(f.Key))
		t.number(uint64(f.Value))
		t.end()
	}
	for _, k := range h.Purged {
		t.start('g')
		t.number(uint64(k))
		t.end()
	}
	for _, p := range h.processes {
		t.process(p)
	}
	for _, s := range h.Final {
		t.start('s')
		t.number(uint64(s.Server))
		t.number(uint64(s.Pending))
		t.end()
		for _, it := range s.Items {
			t.start('i')
			t.item(it)
			t.end()
		}
	}
	t.line = append(t.line, "end"...)
	t.end()
	if t.err != nil {
		return t.err
	}
	return t.out.Flush()
}

func (t *textWriter) process(p *Process) {
	t.start('p')
	t.number(uint64(p.epoch))
	t.name(p.name)
	t.positions(p.parents)
	t.end()
	for _, o := range p.ops {
		t.op(p, o)
	}
}

func (t *textWriter) op(p *Process, o op) {
	switch o.kind {
	case opWrite, opDelete:
		it := p.items[o.first]
		if int(o.outcome) >= len(outcomeLetters) {
			t.refuse("outcome", uint8(o.outcome))
			return
		}
		t.start("wd"[o.kind])
		t.number(uint64(it.Key))
		if o.kind == opWrite {
			t.number(uint64(it.Value))
		}
		t.dot(it.Dot)
		t.stamp(it.Stamp)
		t.line = append(t.line, ' ', outcomeLetters[o.outcome])
	case opRead, opReadMany:
		t.start("rm"[o.kind-opRead])
		for _, it := range p.itemsOf(o) {
			t.item(it)
		}
	case opJoin:
		t.start('j')
		t.positions(p.joinsOf(o))
	}
	t.end()
}

func (t *textWriter) start(letter byte) { t.line = append(t.line, letter) }

func (t *textWriter) end() {
	if t.err == nil {
		_, t.err = t.out.Write(append(t.line, '\n'))
	}
	t.line = t.line[:0]
}

// refuse makes Encode fail: the history holds what has no meaning.
func (t *textWriter) refuse(what string, n uint8) {
	if t.err == nil {
		t.err = fmt.Errorf("%w: an operation has %s %d, which means nothing", ErrSyntax, what, n)
	}
}

func (t *textWriter) number(n uint64) { t.line = strconv.AppendUint(append(t.line, ' '), n, 10) }

func (t *textWriter) name(s string) { t.line = strconv.AppendQuote(append(t.line, ' '), s) }

func (t *textWriter) positions(positions []Position) {
	for _, from := range positions {
		t.number(uint64(from.Process))
		t.line = strconv.AppendInt(append(t.line, ':'), int64(from.Ops), 10)
	}
}

func (t *textWriter) item(it Item) {
	if int(it.Seen) >= len(seenLetters) {
		t.refuse("seen", uint8(it.Seen))
		return
	}
	t.number(uint64(it.Key))
	t.line = append(t.line, ' ', seenLetters[it.Seen])
	t.number(uint64(it.Value))
	t.dot(it.Dot)
	t.stamp(it.Stamp)
}

func (t *textWriter) dot(d causal.Dot) {
	t.number(uint64(d.Origin))
	t.line = strconv.AppendUint(append(t.line, '.'), uint64(d.Incarnation), 10)
	t.line = strconv.AppendUint(append(t.line, '.'), uint64(d.Counter), 10)
}

func (t *textWriter) stamp(s causal.Stamp) {
	t.number(uint64(s.Time))
	t.line = strconv.AppendUint(append(t.line, '@'), uint64(s.Origin), 10)
}
