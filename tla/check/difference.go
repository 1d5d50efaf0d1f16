package main

import (
	"fmt"
	"reflect"
	"slices"
)

// differences tells how a value has changed, one line for each part of it: where,
// and from what to what. Of a sequence or a set it tells what is new in it (+) and
// what is gone (-).
func differences(where string, old, new Value) []string {
	if reflect.DeepEqual(old, new) {
		return nil
	}
	switch old := old.(type) {
	case Mapping:
		if new, ok := new.(Mapping); ok && sameKeys(old, new) && !flat(old) {
			var lines []string
			for i, e := range old {
				lines = append(lines, differences(part(where, e.Key), e.Value, new[i].Value)...)
			}
			return lines
		}
	case Set:
		if new, ok := new.(Set); ok {
			return []string{change(where, without(new, old), without(old, new))}
		}
	case Tuple:
		if new, ok := new.(Tuple); ok && (len(old) != len(new) || !flat(old)) {
			if lines := sequenceDifferences(where, old, new); lines != nil {
				return lines
			}
		}
	}
	return []string{fmt.Sprintf("%s: %s -> %s", where, old.notation(), new.notation())}
}

// sequenceDifferences knows what sequences go through: they grow behind, lose what is
// first, or single elements change. It returns nil for everything else.
func sequenceDifferences(where string, old, new Tuple) []string {
	if len(old) == 0 || len(new) == 0 {
		return []string{change(where, new, old)}
	}
	for gone := range old {
		if kept := old[gone:]; len(kept) <= len(new) && reflect.DeepEqual(kept, new[:len(kept)]) {
			return []string{change(where, new[len(kept):], old[:gone])}
		}
	}
	if len(old) != len(new) || len(old) == 1 {
		return nil
	}
	var lines []string
	for i := range old {
		lines = append(lines, differences(part(where, Int(i+1)), old[i], new[i])...)
	}
	return lines
}

func change(where string, added, gone []Value) string {
	line := where + ":"
	if len(gone) > 0 {
		line += " - " + join(gone, ", ")
	}
	if len(added) > 0 {
		line += " + " + join(added, ", ")
	}
	return line
}

// part names one entry of a variable as TLA+ does.
func part(where string, key Value) string {
	if field, ok := key.(Field); ok {
		return where + "." + string(field)
	}
	return where + "[" + key.notation() + "]"
}

func without(vs, others Set) []Value {
	return slices.DeleteFunc(slices.Clone(vs), func(v Value) bool {
		return slices.ContainsFunc(others, func(o Value) bool { return reflect.DeepEqual(v, o) })
	})
}

func sameKeys(a, b Mapping) bool {
	return slices.EqualFunc(a, b, func(x, y Entry) bool { return reflect.DeepEqual(x.Key, y.Key) })
}

// flat reports whether a value is best shown as a whole: its parts are short.
func flat(v Value) bool {
	switch v := v.(type) {
	case Mapping:
		return v.isList() && !slices.ContainsFunc(v, func(e Entry) bool { return !isScalar(e.Value) })
	case Tuple:
		return !slices.ContainsFunc(v, func(e Value) bool { return !isScalar(e) })
	}
	return true
}

func isScalar(v Value) bool {
	switch v.(type) {
	case Set, Tuple, Mapping:
		return false
	}
	return true
}
