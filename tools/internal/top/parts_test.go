package top

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		ns   uint64
		want string
	}{
		{0, "0ns"}, {999, "999ns"}, {1000, "1.00µs"}, {1004, "1.00µs"}, {9994, "9.99µs"}, {9996, "10.0µs"}, {99_940, "99.9µs"},
		{99_960, "100µs"}, {999_400, "999µs"}, {999_600, "1.00ms"}, {5_820_000, "5.82ms"}, {1_000_000_000, "1.00s"}, {1 << 40, "1100s"},
		{math.MaxUint64, "9990s"},
	} {
		if got := duration(c.ns, Look{}); got != c.want {
			t.Errorf("%d ns is %s, want %s", c.ns, got, c.want)
		}
	}
	for ns := uint64(1); ns < 1<<62; ns += ns/7 + 1 {
		got := duration(ns, Look{})
		if utf8.RuneCountInString(got) >= numberCells {
			t.Fatalf("%d ns is %s", ns, got)
		}
		var value float64
		var unit string
		if _, err := fmt.Sscanf(got, "%f%s", &value, &unit); err != nil {
			t.Fatal(err)
		}
		value *= map[string]float64{"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
		if ns < 9990e9 && math.Abs(value-float64(ns)) > 0.0051*float64(ns) {
			t.Fatalf("%d ns is %s", ns, got)
		}
	}
	if got := duration(1500, Look{ASCII: true}); got != "1.50us" {
		t.Errorf("in ASCII: %s", got)
	}
}

func TestPerSecond(t *testing.T) {
	for _, c := range []struct {
		rate float64
		want string
	}{
		{0, "0"}, {-1, "0"}, {0.5, "0.5"}, {9.94, "9.9"}, {9.96, "10"}, {9999.4, "9999"}, {9999.6, "10.0k"}, {128_402, "128k"},
		{999_600, "1.00M"}, {12_345_678, "12.3M"}, {1e10, "10.0G"}, {1e18, "999T"},
	} {
		if got := perSecond(c.rate); got != c.want || len(got) >= rateCells {
			t.Errorf("%v is %s, want %s", c.rate, got, c.want)
		}
	}
}

func TestColumnOf(t *testing.T) {
	for _, c := range []struct {
		ns   uint64
		want int
	}{{0, 0}, {999, 0}, {1000, 0}, {10_001, 6}, {1_000_001, 18}, {500_000_000, 34}, {999_999_999, 35}, {math.MaxUint64, 35}} {
		if got := columnOf(c.ns); got != c.want {
			t.Errorf("%d ns is in column %d, want %d", c.ns, got, c.want)
		}
	}
}

// A spread in fewer columns counts the same, and little is seen beside much.
func TestSpread(t *testing.T) {
	var s Spread
	s[0], s[17], s[35] = 1_000_000, 1, 500_000
	for _, columns := range spreadWidths {
		sum := uint64(0)
		for _, n := range s.in(columns) {
			sum += n
		}
		text := []rune(s.draw(columns, Look{}))
		if sum != 1_500_001 || len(text) != columns || text[0] != '█' || text[17*columns/36] != '▁' || text[columns-1] != '▅' {
			t.Errorf("%d columns: %d, %s", columns, sum, string(text))
		}
		// The labels stand above where their columns begin.
		for label, at := range map[string]int{"1µs": 0, "100µs": columns / 3, "1ms": columns / 2} {
			scale := []rune(spreadScale(columns, Look{}))
			if i := slices.Index(scale, []rune(label)[0]); label == "1µs" && i != 0 || len(scale) > columns {
				t.Errorf("%d columns: %s", columns, string(scale))
			}
			if strings.Contains(" "+string(scale)+" ", " "+label+" ") && !strings.HasPrefix(string(scale[at:]), label) {
				t.Errorf("%d columns: %s is not at %d in %s", columns, label, at, string(scale))
			}
		}
	}
	if got := (&Spread{}).draw(12, Look{}); got != strings.Repeat("·", 12) {
		t.Errorf("nothing: %s", got)
	}
}

func TestBarOfParts(t *testing.T) {
	for _, c := range []struct {
		of   [3]uint64
		want [3]int
	}{
		{[3]uint64{0, 0, 0}, [3]int{0, 0, 0}}, {[3]uint64{1, 1, 2}, [3]int{2, 2, 4}}, {[3]uint64{0, 7, 0}, [3]int{0, 8, 0}},
		{[3]uint64{1e9, 1, 1}, [3]int{8, 0, 0}}, {[3]uint64{math.MaxUint64, math.MaxUint64, 0}, [3]int{4, 4, 0}},
	} {
		if got := parts(8, c.of); got != c.want {
			t.Errorf("%v: %v, want %v", c.of, got, c.want)
		}
	}
}

func TestKeys(t *testing.T) {
	for typed, want := range map[string][]key{
		"":               nil,
		"q":              {keyQuit},
		"\x03":           {keyQuit},
		"ps+-r":          {keyPause, keySort, keySlower, keyFaster, keyReset},
		"x\x00\xff\r":    nil,
		"\x1b[A\x1bOBj":  {keyUp, keyDown, keyDown},
		"\x1b[200~q":     {keyQuit},
		"\x1b[5":         nil,
		"\x1bqp":         {keyPause}, // Alt-q is not q
		"\x1b":           nil,
		"\x1b[":          nil,
		"p\x1b[5~":       {keyPause},
		"\x1a i":         {keySuspend, keyPause, keyInterval},
		"\x1b[Bnothingk": {keyDown, keyInterval, keyUp},
	} {
		if got := keysOf([]byte(typed)); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", typed, got, want)
		}
	}
}

func TestPress(t *testing.T) {
	s := State{Interval: time.Second}
	for range 100 {
		s.press(keySlower)
	}
	if s.Interval != MaxInterval {
		t.Errorf("the interval grows to %v", s.Interval)
	}
	for range 100 {
		s.press(keyFaster)
		s.press(keyUp)
	}
	if s.Interval != MinInterval || s.Scroll != 0 {
		t.Errorf("the interval falls to %v, scrolled by %d", s.Interval, s.Scroll)
	}
	for range orders {
		s.press(keySort)
		_ = s.Order.String()
	}
	if s.Order != ByOperation {
		t.Errorf("order %v", s.Order)
	}
	// What is to be counted from now on begins with the latest readings, once.
	if s.begin(noon) {
		t.Error("each interval by itself goes on from another one")
	}
	s.press(keyReset)
	if s.begin(noon) || !s.Since.Equal(noon) {
		t.Errorf("from now on: since %v", s.Since)
	}
	if !s.begin(noon.Add(time.Second)) || !s.Since.Equal(noon) {
		t.Errorf("and then: since %v", s.Since)
	}
	s.press(keyInterval)
	if s.begin(noon) {
		t.Error("back to each interval")
	}
}

func TestOrders(t *testing.T) {
	n := Node{Operations: []Operation{
		{Name: "a", Rate: 1, P50: 2, P99: 3, P999: 1}, {Name: "b", Rate: 3, P50: 1, P99: 2, P999: 2}, {Name: "c", Rate: 2, P50: 3, P99: 1, P999: 2},
	}}
	for order, want := range map[Order]string{ByOperation: "abc", ByRate: "bca", ByP50: "cab", ByP99: "abc", ByP999: "bca"} {
		s, got := State{Order: order}, ""
		for _, o := range s.sorted(&n) {
			got += o.Name
		}
		if got != want {
			t.Errorf("by %v: %s, want %s", order, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  []string
	}{
		{"", 10, nil}, {"short", 10, []string{"short"}}, {"exactly 10", 10, []string{"exactly 10"}}, {"two words more", 10, []string{"two words", "more"}},
		{"0123456789abcdef", 10, []string{"0123456789", "abcdef"}}, {"one two six ten and so on", 7, []string{"one two", "six ten", "and so…"}}, {"x", 0, nil},
	} {
		if got := wrap(c.text, c.width, 3, "…"); !slices.Equal(got, c.want) {
			t.Errorf("%q in %d: %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

func TestLookOf(t *testing.T) {
	for _, c := range []struct {
		all, ctype, lang, noColour, term string
		want                             Look
	}{
		{"", "", "en_GB.UTF-8", "", "xterm", Look{Colour: true}},
		{"", "", "C.utf8", "1", "xterm", Look{}},
		{"C", "", "en_GB.UTF-8", "", "dumb", Look{ASCII: true}},
		{"", "de_DE.UTF-8", "C", "", "xterm", Look{Colour: true}},
		{"", "", "", "", "xterm", Look{ASCII: true, Colour: true}},
	} {
		for name, value := range map[string]string{"LC_ALL": c.all, "LC_CTYPE": c.ctype, "LANG": c.lang, "NO_COLOR": c.noColour, "TERM": c.term} {
			t.Setenv(name, value)
		}
		if got := LookOf(false); got != c.want {
			t.Errorf("%+v: %+v", c, got)
		}
		if !LookOf(true).ASCII {
			t.Error("--ascii is not heard")
		}
	}
}
