package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Value is a value as TLC prints it. Sets and mappings are in an order of our own,
// since TLC's depends on which names it met first. Values are compared with
// reflect.DeepEqual.
type Value interface{ notation() string }

type (
	Int   int64
	Text  string
	Bool  bool
	Name  string // of a model value
	Field string // of a record
	Set   []Value
	Tuple []Value
	// Mapping is a function, or a record if its keys are Fields.
	Mapping []Entry
	Entry   struct{ Key, Value Value }
)

var errValue = errors.New("no value as TLC writes them")

// maxInterval bounds a set that is written as an interval.
const maxInterval = 10_000

// ParseValue reads one value, all of text.
func ParseValue(text string) (Value, error) {
	r := valueReader{text: text}
	v, err := r.value()
	if err == nil && !r.done() {
		err = r.fail("nothing more")
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// valueReader reads from text[at:].
type valueReader struct {
	text string
	at   int
}

func (r *valueReader) fail(want string) error {
	const shown = 40
	rest := r.text[r.at:]
	if len(rest) > shown {
		rest = rest[:shown] + "…"
	}
	return fmt.Errorf("%w: wanted %s at offset %d, before %q", errValue, want, r.at, rest)
}

func (r *valueReader) skipSpace() {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.at]) >= 0 {
		r.at++
	}
}

func (r *valueReader) done() bool {
	r.skipSpace()
	return r.at == len(r.text)
}

// take goes past a token, if it is next.
func (r *valueReader) take(token string) bool {
	r.skipSpace()
	if !strings.HasPrefix(r.text[r.at:], token) {
		return false
	}
	r.at += len(token)
	return true
}

func (r *valueReader) need(token string) error {
	if !r.take(token) {
		return r.fail(token)
	}
	return nil
}

func (r *valueReader) value() (Value, error) {
	switch {
	case r.take("<<"):
		vs, err := r.list(">>")
		return Tuple(vs), err
	case r.take("{"):
		vs, err := r.list("}")
		slices.SortFunc(vs, compareValues)
		return Set(vs), err
	case r.take("["):
		return r.record()
	case r.take("("):
		return r.function()
	case r.take(`"`):
		return r.quoted()
	}
	word := r.word()
	switch {
	case word == "":
		return nil, r.fail("a value")
	case word == "TRUE", word == "FALSE":
		return Bool(word == "TRUE"), nil
	}
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return r.interval(n)
	}
	return Name(word), nil
}

// word takes letters, digits, and a sign before them.
func (r *valueReader) word() string {
	r.skipSpace()
	begin := r.at
	if r.at < len(r.text) && r.text[r.at] == '-' {
		r.at++
	}
	for r.at < len(r.text) && isWord(r.text[r.at]) {
		r.at++
	}
	if w := r.text[begin:r.at]; w != "-" {
		return w
	}
	r.at = begin
	return ""
}

func isWord(b byte) bool {
	return b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

func (r *valueReader) list(end string) ([]Value, error) {
	var vs []Value
	if r.take(end) {
		return vs, nil
	}
	for {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		vs = append(vs, v)
		if r.take(end) {
			return vs, nil
		}
		if err := r.need(","); err != nil {
			return nil, err
		}
	}
}

// record reads [a |-> 1, b |-> 2] from behind its bracket.
func (r *valueReader) record() (Value, error) {
	var m Mapping
	for {
		name := r.word()
		if name == "" {
			return nil, r.fail("a field's name")
		}
		if err := r.need("|->"); err != nil {
			return nil, err
		}
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		m = append(m, Entry{Field(name), v})
		if r.take("]") {
			return m.sorted(), nil
		}
		if err := r.need(","); err != nil {
			return nil, err
		}
	}
}

// function reads (k1 :> 1 @@ k2 :> 2) from behind its parenthesis.
func (r *valueReader) function() (Value, error) {
	var m Mapping
	for {
		k, err := r.value()
		if err != nil {
			return nil, err
		}
		if err := r.need(":>"); err != nil {
			return nil, err
		}
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		m = append(m, Entry{k, v})
		if r.take(")") {
			return m.sorted(), nil
		}
		if err := r.need("@@"); err != nil {
			return nil, err
		}
	}
}

// quoted reads a string from behind its first quote.
func (r *valueReader) quoted() (Value, error) {
	begin := r.at - 1
	for ; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '\\':
			r.at++
		case '"':
			r.at++
			// TLA+ has some of Go's escapes, and no others.
			s, err := strconv.Unquote(strings.ReplaceAll(r.text[begin:r.at], "\n", `\n`))
			if err != nil {
				r.at = begin
				return nil, r.fail("a string")
			}
			return Text(s), nil
		}
	}
	r.at = begin
	return nil, r.fail("a string that ends")
}

// interval reads what is left of 0..2, a set that TLC has not listed.
func (r *valueReader) interval(from int64) (Value, error) {
	if !r.take("..") {
		return Int(from), nil
	}
	to, err := strconv.ParseInt(r.word(), 10, 64)
	if err != nil || to-from >= maxInterval {
		return nil, r.fail("an interval's end, not too far away")
	}
	var s Set
	for n := from; n <= to; n++ {
		s = append(s, Int(n))
	}
	return s, nil
}

func (m Mapping) sorted() Mapping {
	slices.SortFunc(m, func(a, b Entry) int { return compareValues(a.Key, b.Key) })
	return m
}

// compareValues orders numbers by size, tuples from the left, and all else as it is
// written.
func compareValues(a, b Value) int {
	switch a := a.(type) {
	case Int:
		if b, ok := b.(Int); ok {
			return cmp.Compare(a, b)
		}
	case Tuple:
		if b, ok := b.(Tuple); ok {
			return slices.CompareFunc(a, b, compareValues)
		}
	}
	return cmp.Compare(a.notation(), b.notation())
}
