package main

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func value(t testing.TB, text string) Value {
	t.Helper()
	v, err := ParseValue(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestParseValue(t *testing.T) {
	for text, want := range map[string]Value{
		`7`:                Int(7),
		`-3`:               Int(-3),
		`TRUE`:             Bool(true),
		`k1`:               Name("k1"),
		`"a \"q\" \\ b\n"`: Text("a \"q\" \\ b\n"),
		`{}`:               Set(nil),
		`{2, 10, 1}`:       Set{Int(1), Int(2), Int(10)},
		`-1..1`:            Set{Int(-1), Int(0), Int(1)},
		`2..1`:             Set(nil),
		`<< >>`:            Tuple(nil),
		`<<<<>>, <<1>>>>`:  Tuple{Tuple(nil), Tuple{Int(1)}},
		`[b |-> 1, a |-> <<"x">>]`: Mapping{
			{Field("a"), Tuple{Text("x")}},
			{Field("b"), Int(1)},
		},
		"( 1 :> {k2, k1} @@\n  0 :> (<<0, 1>> :> FALSE) )": Mapping{
			{Int(0), Mapping{{Tuple{Int(0), Int(1)}, Bool(false)}}},
			{Int(1), Set{Name("k1"), Name("k2")}},
		},
	} {
		if got := value(t, text); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %#v, want %#v", text, got, want)
		}
	}
}

func TestNoValue(t *testing.T) {
	for _, text := range []string{
		``, ` `, `-`, `{`, `{1`, `{1,}`, `{1 2}`, `<<1>`, `[a]`, `[a |-> 1`, `[ |-> 1]`, `(1)`, `(1 :> 2`, `(1 :> 2 @@)`,
		`"a`, `"a\`, `"\q"`, `1 2`, `1..`, `1..k`, `0..1000000000000`, `/\`, `[a |-> 1] x`, "null\x00",
	} {
		if v, err := ParseValue(text); !errors.Is(err, errValue) {
			t.Errorf("%q is %v, %v; want an error", text, v, err)
		}
	}
}

func TestNotation(t *testing.T) {
	for text, want := range map[string]string{
		`(0 :> 0 @@ 1 :> 1 @@ 2 :> 0)`:                `[0 1 0]`,
		`(0 :> (0 :> 1) @@ 1 :> (0 :> 2))`:            `[[1] [2]]`,
		`(1 :> 5 @@ 3 :> 6)`:                          `[1: 5, 3: 6]`,
		`(k1 :> {} @@ k2 :> {<<0, 1>>})`:              `[k1: {}, k2: {<<0, 1>>}]`,
		`[kind |-> "version", at |-> <<0, 1>>]`:       `[at: <<0, 1>>, kind: version]`,
		`<<"two words", "", "one-word", TRUE, "é">>`:  `<<"two words", "", one-word, TRUE, "é">>`,
		`(<<0, 9>> :> a @@ <<0, 10>> :> b)`:           `[<<0, 9>>: a, <<0, 10>>: b]`,
		`{<<1, 0>>, <<0, 2>>, <<0>>, 4, "b", "a", k}`: `{4, <<0>>, <<0, 2>>, <<1, 0>>, a, b, k}`,
	} {
		if got := value(t, text).notation(); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
}

func TestDifferences(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`1`, `1`, ``},
		{`1`, `2`, `x: 1 -> 2`},
		{`k1`, `<<0, 1>>`, `x: k1 -> <<0, 1>>`},
		{`<<0, 0>>`, `<<0, 1>>`, `x: <<0, 0>> -> <<0, 1>>`},
		{`(0 :> 0 @@ 1 :> 0)`, `(0 :> 0 @@ 1 :> 1)`, `x: [0 0] -> [0 1]`},
		{`(0 :> (0 :> 0 @@ 1 :> 0) @@ 1 :> (0 :> 0 @@ 1 :> 0))`, `(0 :> (0 :> 0 @@ 1 :> 0) @@ 1 :> (0 :> 0 @@ 1 :> 1))`, `x[1]: [0 0] -> [0 1]`},
		{`(k1 :> 0 @@ k2 :> 0)`, `(k1 :> 3 @@ k2 :> 4)`, `x[k1]: 0 -> 3; x[k2]: 0 -> 4`},
		{`(k1 :> 0)`, `(k1 :> 0 @@ k2 :> 0)`, `x: [k1: 0] -> [k1: 0, k2: 0]`},
		{`(a :> [own |-> {}, n |-> 1])`, `(a :> [own |-> {<<0, 1>>}, n |-> 1])`, `x[a].own: + <<0, 1>>`},
		{`{1, 2}`, `{2, 3}`, `x: - 1 + 3`},
		{`<<>>`, `<<7>>`, `x: + 7`},
		{`<<7>>`, `<<>>`, `x: - 7`},
		{`<<1, 2>>`, `<<1, 2, 3>>`, `x: + 3`},
		{`<<1, 2, 3>>`, `<<2, 3, 4>>`, `x: <<1, 2, 3>> -> <<2, 3, 4>>`}, // may be a tuple
		{`<<1, 2, 3>>`, `<<3>>`, `x: - 1, 2`},
		{`<<{1}, {2}>>`, `<<{2}, {3}>>`, `x: - {1} + {3}`},
		{`<<{1}, {2}>>`, `<<{1}, {2, 3}>>`, `x[2]: + 3`},
		{`<<{1}>>`, `<<{2}>>`, `x: <<{1}>> -> <<{2}>>`},
		{`<<1, 2>>`, `<<3, 4, 5>>`, `x: <<1, 2>> -> <<3, 4, 5>>`},
	} {
		if got := strings.Join(differences("x", value(t, c.old), value(t, c.new)), "; "); got != c.want {
			t.Errorf("%s to %s is %q, want %q", c.old, c.new, got, c.want)
		}
	}
}

// Whatever is read is shown, and reading stops at nothing.
func FuzzParseValue(f *testing.F) {
	for _, s := range []string{`(0 :> {<<1, "a">>} @@ 1 :> [b |-> -1..2])`, `"\"`, `<<<<>>`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := ParseValue(text); err == nil && v.notation() == "" {
			t.Errorf("%q is shown as nothing", text)
		}
	})
}
