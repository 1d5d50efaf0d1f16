package chart

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
)

func TestShort(t *testing.T) {
	for _, c := range []struct {
		value float64
		want  string
	}{
		{0, "0"}, {5, "5"}, {0.5, "0.5"}, {0.01234, "0.0123"}, {2.0049, "2"}, {12.34, "12.3"}, {999.4, "999"}, {999.6, "1k"},
		{1000, "1k"}, {12_345, "12.3k"}, {250_000, "250k"}, {999_600, "1M"}, {1_500_000, "1.5M"}, {-12.34, "-12.3"},
	} {
		if got := Short(c.value); got != c.want {
			t.Errorf("%v is written %q, want %q", c.value, got, c.want)
		}
	}
}

// TestLogTicks: what is labelled lies within the range, and less is where there is
// much.
func TestLogTicks(t *testing.T) {
	labels := func(low, high float64) string {
		var all []string
		for _, tick := range (logTicks{}).Ticks(low, high) {
			if tick.Value < low || tick.Value > high {
				t.Errorf("a tick at %v, outside of %v to %v", tick.Value, low, high)
			}
			if tick.Label != "" {
				all = append(all, tick.Label)
			}
		}
		return strings.Join(all, " ")
	}
	if got, want := labels(1.5, 60), "2 5 10 20 50"; got != want {
		t.Errorf("labels %q, want %q", got, want)
	}
	if got, want := labels(1, 1e5), "1 10 100 1k 10k 100k"; got != want {
		t.Errorf("labels %q, want %q", got, want)
	}
}

// TestPlace: names keep their distance, their order and inside.
func TestPlace(t *testing.T) {
	for name, at := range map[string][]vg.Length{
		"apart": {10, 50, 90}, "together": {50, 50, 50}, "at the top": {95, 96, 97}, "at the bottom": {0, 1, 2},
	} {
		placed := place(append([]vg.Length(nil), at...), 100)
		for i, y := range placed {
			if y > 100 || i > 0 && y-placed[i-1] < nameHeight {
				t.Errorf("%s: %v are placed at %v", name, at, placed)
			}
		}
		if name == "apart" && placed[1] != 50 {
			t.Errorf("what is apart is moved, to %v", placed)
		}
	}
}

func charts() map[string]Chart {
	values := []float64{10, 12, 11}
	return map[string]Chart{
		"dots": Dots{Panels: []Panel{
			{Title: "Reads", Axis: Axis{Title: "p50, µs"}, Rows: []Row{{"ours", Blue, 11, values}, {"theirs", Green, 0, []float64{0}}}},
			{Title: "Nothing", Axis: Axis{Title: "p50, µs"}},
		}},
		"lines": Lines{X: Axis{Title: "rate", Log: true}, Y: Axis{Title: "p50, µs", Log: true}, Series: []Series{
			{Name: "ours", Color: Blue, Points: []Point{{1, 11, values}, {10, 12, values}}},
			{Name: "one point", Color: Green, Dashed: true, Points: []Point{{1, 11, values}}},
			{Name: "none", Color: Green},
		}},
		"stacks": Stacks{Panels: []StackPanel{
			{Title: "One", Axis: Axis{Title: "p50, µs"}, Bars: []Bar{
				{"ours", 11, []Part{{"queue", Blue, 3}, {"service", Green, 7.9}, {"send", Sky, 0.1}}}, {"theirs", 0, []Part{{"queue", Blue, -1}}}}},
			{Title: "Nothing", Axis: Axis{Title: "p50, µs"}},
		}},
		"empty": Lines{X: Axis{Title: "rate", Log: true}, Y: Axis{Title: "p50, µs", Log: true}},
	}
}

// TestWrite: both files are images, name what they show, and are the same bytes each
// time.
func TestWrite(t *testing.T) {
	for name, c := range charts() {
		base := filepath.Join(t.TempDir(), name)
		var before [2][]byte
		for range 2 {
			if err := Write(c, base); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for i, ending := range []string{".svg", ".png"} {
				text, err := os.ReadFile(base + ending)
				if err != nil {
					t.Fatal(err)
				}
				if before[i] != nil && !bytes.Equal(before[i], text) {
					t.Errorf("%s%s differs from time to time", name, ending)
				}
				before[i] = text
			}
		}
		image, err := png.Decode(bytes.NewReader(before[1]))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if size := image.Bounds().Size(); size.X != 7*pngDPI || size.Y < pngDPI {
			t.Errorf("%s has %v pixels", name, size)
		}
		words := []string{"p50, µs", "sans-serif"}
		if name != "empty" {
			words = append(words, "ours")
		}
		for _, word := range words {
			if !bytes.Contains(before[0], []byte(word)) {
				t.Errorf("%s.svg does not say %q", name, word)
			}
		}
	}
}
