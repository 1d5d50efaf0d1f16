package trial

import (
	"errors"
	"testing"
	"time"
)

func TestThirds(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name    string
		samples []int64
		want    [3]int64
		flat    bool
	}{
		{"level", []int64{9, 9, 9, 9, 9, 9}, [3]int64{9, 9, 9}, true},
		{"fills up, then level", []int64{1, 2, 300 * mib, 300 * mib, 300 * mib, 300 * mib}, [3]int64{2, 300 * mib, 300 * mib}, true},
		{"a little more", []int64{1, 1, 1, 1, 16*mib + 1, 16*mib + 1}, [3]int64{1, 1, 16*mib + 1}, true},
		{"grows", []int64{1, 1, 1, 1, 16*mib + 2, 16*mib + 2}, [3]int64{1, 1, 16*mib + 2}, false},
		{"a tenth more", []int64{1, 1, 1000 * mib, 1000 * mib, 1100 * mib, 1100 * mib}, [3]int64{1, 1000 * mib, 1100 * mib}, true},
		{"more than a tenth", []int64{1, 1, 1000 * mib, 1000 * mib, 1101 * mib, 1101 * mib}, [3]int64{1, 1000 * mib, 1101 * mib}, false},
		{"one outlier", []int64{1, 1, 1, 1, 1, 1, 1, 900 * mib, 1}, [3]int64{1, 1, 1}, true},
		{"few", []int64{5}, [3]int64{0, 0, 5}, true},
	} {
		got := thirds(c.samples)
		if got != c.want || flat(got) != c.flat {
			t.Errorf("%s: %v, flat %v; want %v, %v", c.name, got, flat(got), c.want, c.flat)
		}
	}
}

func TestInterval(t *testing.T) {
	o := Defaults(10 * time.Second)
	o.Sessions, o.MaxOps = 10, 4_000_000
	if i := o.interval(); i != 0 {
		t.Errorf("a short run is slowed down to one operation per %v", i)
	}
	o.Duration = time.Hour
	i := o.interval()
	if paced := o.Duration.Seconds() / i.Seconds() * float64(o.Sessions); paced > float64(o.MaxOps) {
		t.Errorf("one operation per %v gives %.0f, want at most %d", i, paced, o.MaxOps)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"duration": func(o *Options) { o.Duration = 0 },
		"sessions": func(o *Options) { o.Sessions = 0 },
		"max-ops":  func(o *Options) { o.MaxOps = 0 },
	} {
		o := Defaults(time.Second)
		spoil(&o)
		if err := o.check(); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v, want %v", name, err, ErrOptions)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}

func TestDemandsAreJoined(t *testing.T) {
	var v verdicts
	v.demand(true, "not this")
	if v.err() != nil {
		t.Fatal(v.err())
	}
	v.demand(false, "a is %d", 1)
	v.demand(false, "b")
	if err := v.err(); !errors.Is(err, ErrVerdict) || err.Error() != "trial failed: a is 1; b" {
		t.Fatal(err)
	}
}
