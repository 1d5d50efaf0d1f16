package main

import (
	"strconv"
	"strings"
)

// The notation of counterexamples is shorter than TLC's:
//
//	[0 1 0]        a function over 0 .. 2, such as a vector
//	[a: 1, b: 2]   any other function, or a record
//	{a, b}         a set
//	<<0, 1>>       a tuple, such as a dot, or a sequence
//
// Strings lose their quotes where nobody can take them for anything else.

func (n Int) notation() string { return strconv.FormatInt(int64(n), 10) }

func (b Bool) notation() string {
	if b {
		return "TRUE"
	}
	return "FALSE"
}

func (n Name) notation() string  { return string(n) }
func (f Field) notation() string { return string(f) }

func (t Text) notation() string {
	if t == "" || strings.ContainsFunc(string(t), func(r rune) bool {
		return r >= 0x80 || r != '-' && !isWord(byte(r))
	}) {
		return strconv.Quote(string(t))
	}
	return string(t)
}

func (s Set) notation() string   { return "{" + join(s, ", ") + "}" }
func (t Tuple) notation() string { return "<<" + join(t, ", ") + ">>" }

func (m Mapping) notation() string {
	if m.isList() {
		vs := make([]Value, len(m))
		for i, e := range m {
			vs[i] = e.Value
		}
		return "[" + join(vs, " ") + "]"
	}
	parts := make([]string, len(m))
	for i, e := range m {
		parts[i] = e.Key.notation() + ": " + e.Value.notation()
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// isList reports whether the function is one over 0 .. n-1.
func (m Mapping) isList() bool {
	for i, e := range m {
		if e.Key != Int(i) {
			return false
		}
	}
	return true
}

func join(vs []Value, between string) string {
	parts := make([]string, len(vs))
	for i, v := range vs {
		parts[i] = v.notation()
	}
	return strings.Join(parts, between)
}
