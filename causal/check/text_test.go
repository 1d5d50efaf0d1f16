package check

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// encode returns the text of a history.
func encode(t testing.TB, h *History) string {
	t.Helper()
	var b bytes.Buffer
	if err := h.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTextKeepsEverything(t *testing.T) {
	var c Checker
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 7))
		h := generate(rng, randomShape(rng))
		mutations[rng.IntN(len(mutations))].spoil(rng, h)
		text := encode(t, h)
		back, err := Decode(strings.NewReader(text))
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if again := encode(t, back); again != text {
			t.Fatalf("seed %d: %s\ncomes back as\n%s", seed, text, again)
		}
		if was, is := c.Check(h), c.Check(back); was.String() != is.String() {
			t.Fatalf("seed %d: judged %s\nand when read back %s", seed, was.String(), is.String())
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	const head = textHeader + "\nk \"x\"\np 1 \"a\"\n"
	for _, tc := range []struct{ name, text, says string }{
		{"nothing", "", "cut short after line 0"},
		{"another file", "PK\x03\x04\nend\n", "line 1: starts with"},
		{"another version", "causalmesh-history 2\nend\n", "line 1: starts with"},
		{"cut short", head, "cut short after line 3"},
		{"an empty line", head + "\nend\n", "line 4: is empty"},
		{"an unknown line", head + "q 1\nend\n", "line 4: starts with 'q'"},
		{"operation without process", textHeader + "\nr 0 n 0 0.0.0 0@0\nend\n", "before the first process"},
		{"item without server", head + "i 0 n 0 0.0.0 0@0\nend\n", "before the first server"},
		{"too little", head + "r 0 n 0 0.0.0\nend\n", "line 4: lacks ' '"},
		{"too much", head + "r 0 n 0 0.0.0 0@0 7\nend\n", "too much"},
		{"no number", head + "w x 1 0.0.0 0@0 a\nend\n", "where a number"},
		{"too large", head + "w 0 1 256.0.0 0@0 a\nend\n", "up to 255"},
		{"superfluous zero", head + "w 00 1 0.0.0 0@0 a\nend\n", `has "00"`},
		{"unknown outcome", head + "w 0 1 0.0.0 0@0 z\nend\n", `where one of "aur"`},
		{"name without quotes", textHeader + "\nk x\nend\n", "quoted name"},
		{"long line", textHeader + "\nk \"" + strings.Repeat("x", maxLineBytes) + "\"\nend\n", "longer than"},
	} {
		_, err := Decode(strings.NewReader(tc.text))
		if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: want ErrSyntax that says %q, got %v", tc.name, tc.says, err)
		}
	}
}

func TestEncodeRefusesNonsense(t *testing.T) {
	h := tinyHistory()
	h.Start("a", 1).Read(Item{Seen: 9})
	if err := h.Encode(new(bytes.Buffer)); !errors.Is(err, ErrSyntax) {
		t.Errorf("seen 9: %v", err)
	}
	if r := Check(h); r.Counts[KindMalformed] != 1 {
		t.Errorf("seen 9: %s", r.String())
	}
}

// FuzzDecode: any bytes give a history or an error, never a panic; a history can
// be judged, whatever it says, and says the same when it is written and read
// again.
func FuzzDecode(f *testing.F) {
	for _, tc := range tinyCases {
		h := tinyHistory()
		tc.build(h)
		f.Add([]byte(encode(f, h)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := Decode(bytes.NewReader(data))
		if err != nil {
			return
		}
		r := Check(h)
		text := encode(t, h)
		back, err := Decode(strings.NewReader(text))
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, text)
		}
		if again := Check(back); again.String() != r.String() {
			t.Fatalf("judged %s\nand when read back %s", r.String(), again.String())
		}
		if r.Counts[KindMalformed] == 0 && h.Ops() < 200 && len(h.Keys) < 50 &&
			!equalJudgements(judgedInFull(h), twinCheck(h)) {
			t.Fatalf("checker says %s\ntwin says %v\n%s", r.String(), twinCheck(h), text)
		}
	})
}

func judgedInFull(h *History) judgement {
	c := Checker{Limit: 1 << 20}
	return judged(c.Check(h))
}
