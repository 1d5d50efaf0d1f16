package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The tests of loads run on the virtual clock of synctest: times are exact.

const ms = int64(time.Millisecond)

// within reports whether a latency is what was meant, as exactly as a histogram has
// it.
func within(got, want int64) bool {
	return math.Abs(float64(got-want)) <= float64(want)*2e-3
}

func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, o := newFake(t, 1, "--conns", "2", "--depth", "3", "--keys", "100", "--warmup", "100ms", "--duration", "1s")
		r := mustRun(t, o)
		if r.Ops != 6*1000 || r.Throughput != 6000 || r.Errors != 0 || r.Seconds != 1 || r.Ops != r.Reads+r.Writes {
			t.Errorf("%+v, want 6 sessions with an operation per millisecond for a second", r)
		}
		if share := float64(r.Reads) / float64(r.Ops); math.Abs(share-0.9) > 0.02 {
			t.Errorf("%.3f are reads, want 0.9", share)
		}
		if f.done != 6*1100 {
			t.Errorf("%d operations in all, want those of the warm-up too", f.done)
		}
		if r.Absent == 0 || r.Absent >= r.Reads {
			t.Errorf("%d of %d reads found nothing: keys are written as it goes on", r.Absent, r.Reads)
		}
		if !within(r.Latency.P50, ms) || !within(r.Latency.Max, ms) || r.Lag != nil || r.ServerCPU != nil {
			t.Errorf("latency %+v, lag %v, CPU %v", r.Latency, r.Lag, r.ServerCPU)
		}
		if f.open[0] != 0 {
			t.Errorf("%d connections are left open", f.open[0])
		}
	})
}

// TestSameSeed: the operations of a session follow from the seed.
func TestSameSeed(t *testing.T) {
	operations := func(seed string) (text string) {
		synctest.Test(t, func(t *testing.T) {
			f, o := newFake(t, 1, "--seed", seed, "--keys", "50", "--warmup", "0s", "--duration", "200ms")
			mustRun(t, o)
			text = fmt.Sprint(f.reads, f.writes)
		})
		return text
	}
	if first, again := operations("1"), operations("1"); first != again {
		t.Error("the same seed makes another load")
	}
	if operations("1") == operations("2") {
		t.Error("another seed makes the same load")
	}
}

// TestCoordinatedOmission stalls the system once. In an open loop all operations
// that were due meanwhile feel it; in a closed loop there are none.
func TestCoordinatedOmission(t *testing.T) {
	const stall = 500 * time.Millisecond
	run := func(t *testing.T, args ...string) (r *Report) {
		synctest.Test(t, func(t *testing.T) {
			f, o := newFake(t, 1, append(args, "--warmup", "0s", "--duration", "2s")...)
			f.takes = 100 * time.Microsecond
			f.stall = func(n int) time.Duration {
				if n == 100 {
					return stall
				}
				return 0
			}
			r = mustRun(t, o)
		})
		return r
	}
	open := run(t, "--rate", "1000")
	// A quarter of the operations is due during the stall and waits half of it on
	// average; the backlog then takes a tenth of the stall to serve.
	if open.Latency.P50 > 2*ms || open.Latency.P90 < 200*ms || open.Latency.P99 < 400*ms || open.Unserved > 5 {
		t.Errorf("open loop: %+v", open)
	}
	if rate := open.Throughput; math.Abs(rate-1000) > 50 {
		t.Errorf("open loop: %.0f operations/s, want 1000", rate)
	}
	if open.Lag == nil || open.Lag.Max > ms {
		t.Errorf("lag %+v: on a virtual clock nobody is late", open.Lag)
	}
	if closed := run(t); closed.Latency.P99 > ms || !within(closed.Latency.Max, int64(stall)+ms/10) {
		t.Errorf("closed loop: %+v", closed)
	}
}

// TestUnserved asks for twice of what can be done.
func TestUnserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, o := newFake(t, 1, "--rate", "2000", "--warmup", "1s", "--duration", "1s")
		r := mustRun(t, o)
		if r.Throughput != 1000 || math.Abs(float64(r.Unserved)-2000) > 200 {
			t.Errorf("%.0f operations/s and %d unserved, want 1000 and about 2000", r.Throughput, r.Unserved)
		}
		// What begins in the measured second was due half as long ago as the load lasts.
		if r.Latency.P50 < 600*ms || r.Latency.Max > 1200*ms {
			t.Errorf("latency %+v does not have the wait", r.Latency)
		}
		var text strings.Builder
		if err := r.WriteText(&text, o); err != nil || !strings.Contains(text.String(), "SATURATED") {
			t.Errorf("no warning, %v, in\n%s", err, &text)
		}
	})
}

// TestRun: a run of operations is one sample, their mean, and all of them count.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, o := newFake(t, 1, "--run", "4", "--read-ratio", "1", "--warmup", "0s", "--duration", "1s")
		f := o.targets[0].(*fakeTarget).system
		f.stall = func(n int) time.Duration {
			if n%4 == 2 {
				return time.Millisecond
			}
			return 0
		}
		r := mustRun(t, o)
		if r.Ops != 800 || r.Reads != 800 || r.Absent != 800 || !within(r.Latency.P50, ms*5/4) || !within(r.Latency.Max, ms*5/4) {
			t.Errorf("%+v, latency %+v, want 200 runs of 5 ms", r, r.Latency)
		}
		var text strings.Builder
		if err := r.WriteText(&text, o); err != nil || !strings.Contains(text.String(), "runs of 4 operations") || r.Load.Run != 4 {
			t.Errorf("no word of runs, %v, in\n%s", err, &text)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f, o := newFake(t, 1, "--run", "4", "--read-ratio", "0", "--warmup", "0s", "--duration", "1s")
		f.refuse = func(n int) error {
			if n == 1 {
				return errFake
			}
			return nil
		}
		// What the failure has ended counts as one error: 2 ms and a pause are lost.
		if r := mustRun(t, o); r.Errors != 1 || r.Ops != 1000 || r.Writes != r.Ops {
			t.Errorf("%+v", r)
		}
	})
}

// TestRunRoams: the choices of a run follow each other.
func TestRunRoams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, o := newFake(t, 2, "--run", "10", "--roam", "1", "--read-ratio", "1", "--warmup", "0s", "--duration", "1s")
		r := mustRun(t, o)
		if f.at[0] != f.at[1] || int64(f.at[0]+f.at[1]) != r.Ops {
			t.Errorf("%v of %d operations by target: sessions move before each", f.at, r.Ops)
		}
	})
}

func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, o := newFake(t, 1, "--warmup", "0s", "--duration", "1s")
		f.refuse = func(n int) error {
			if n%2 == 1 {
				return errFake
			}
			return nil
		}
		r := mustRun(t, o)
		// An operation, one that fails, and a pause: a millisecond each.
		if r.Ops != 334 || r.Errors != 333 || r.FirstError != errFake.Error() {
			t.Errorf("%+v", r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f, o := newFake(t, 1, "--warmup", "0s", "--duration", "1s")
		f.refuse = func(int) error { return errFake }
		if r, err := Run(t.Context(), o, nil); !errors.Is(err, ErrNothingMeasured) || !errors.Is(err, errFake) {
			t.Errorf("everything failed, and the result is %+v, %v", r, err)
		}
	})
}

// TestNothingBegins: a load in which nothing succeeded is no result, even if nothing
// failed.
func TestNothingBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, o := newFake(t, 1, "--warmup", "1s", "--duration", "1s")
		f.takes = 3 * time.Second
		if r, err := Run(t.Context(), o, nil); !errors.Is(err, ErrNothingMeasured) {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestWarning: a result in spite of failures is one, and standard error tells of them.
func TestWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, o := newFake(t, 1, "--warmup", "0s", "--duration", "1s", "--json")
		f.refuse = func(n int) error {
			if n == 3 {
				return errFake
			}
			return nil
		}
		var out, bad strings.Builder
		err := runAndReport(t.Context(), o, &out, &bad, nil)
		if want := "loadgen: warning: 1 of 999 operations failed, the first with: fake failure\n"; err != nil || bad.String() != want || out.Len() == 0 {
			t.Errorf("%v, %q, want %q", err, &bad, want)
		}
	})
}

// TestValueTooLarge: nothing is sent that the server would refuse.
func TestValueTooLarge(t *testing.T) {
	for size, fits := range map[int]bool{fakeValueBytes: true, fakeValueBytes + 1: false} {
		synctest.Test(t, func(t *testing.T) {
			f, o := newFake(t, 1, "--warmup", "0s", "--duration", "10ms", "--value-size", strconv.Itoa(size))
			_, err := Run(t.Context(), o, nil)
			if fits != (err == nil) || !fits && (!errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "--value-size: 1001") || f.done > 0) {
				t.Errorf("%d bytes: %v after %d operations", size, err, f.done)
			}
			if f.open[0] != 0 {
				t.Errorf("%d connections are left open", f.open[0])
			}
		})
	}
}

// TestEveryLineIsNamed: errors of several lines say on each whose they are.
func TestEveryLineIsNamed(t *testing.T) {
	var b strings.Builder
	tell(&b, errors.Join(ErrUsage, errFake))
	if b.String() != "loadgen: usage\nloadgen: fake failure\n" {
		t.Errorf("%q", b.String())
	}
}

func TestStoppedEarly(t *testing.T) {
	for name, args := range map[string][]string{"closed": nil, "open": {"--rate", "100"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, o := newFake(t, 1, append(args, "--warmup", "1s", "--duration", "1h")...)
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				began := time.Now()
				r, err := Run(ctx, o, nil)
				if err != nil || r.Seconds != 2 || time.Since(began) > 4*time.Second {
					t.Errorf("%+v, %v after %v", r, err, time.Since(began))
				}
			})
			synctest.Test(t, func(t *testing.T) {
				_, o := newFake(t, 1, append(args, "--warmup", "1h")...)
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				if r, err := Run(ctx, o, nil); !errors.Is(err, ErrNothingMeasured) {
					t.Errorf("stopped during the warm-up: %+v, %v", r, err)
				}
			})
		})
	}
}

func TestRoam(t *testing.T) {
	for _, c := range []struct {
		roam string
		want [3]float64 // share of the operations
	}{
		// Of five connections targets 0 and 1 have two, target 2 has one.
		{"0", [3]float64{0.4, 0.4, 0.2}},
		{"0.5", [3]float64{1. / 3, 1. / 3, 1. / 3}},
		{"1", [3]float64{1. / 3, 1. / 3, 1. / 3}},
	} {
		t.Run(c.roam, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, o := newFake(t, 3, "--conns", "5", "--depth", "2", "--roam", c.roam, "--warmup", "0s", "--duration", "1s")
				r := mustRun(t, o)
				for i, want := range c.want {
					if got := float64(f.at[i]) / float64(r.Ops); math.Abs(got-want) > 0.02 {
						t.Errorf("target %d has %.3f of the operations, want %.3f", i, got, want)
					}
				}
			})
		})
	}
}

func TestPreload(t *testing.T) {
	args := []string{"--preload", "--keys", "500", "--conns", "2", "--depth", "4", "--warmup", "0s", "--duration", "1ms"}
	synctest.Test(t, func(t *testing.T) {
		f, o := newFake(t, 1, append(args, "--read-ratio", "1")...)
		f.refuse = func(n int) error {
			if n%3 == 1 && n < 500 {
				return fmt.Errorf("%w: for a test", ErrRefused)
			}
			return nil
		}
		if r := mustRun(t, o); r.Absent != 0 || r.Reads == 0 {
			t.Errorf("%+v: reads found nothing", r)
		}
		for rank := range 500 {
			if key := newKeyspace(500).key(rank); f.writes[key] != 1 {
				t.Errorf("%s was written %d times", key, f.writes[key])
			}
		}
	})
	for name, fault := range map[string]error{"failure": errFake, "refused for ever": ErrRefused} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, o := newFake(t, 1, args...)
				f.refuse = func(n int) error {
					if n < 100 {
						return nil
					}
					return fault
				}
				if r, err := Run(t.Context(), o, nil); !errors.Is(err, fault) {
					t.Errorf("%+v, %v", r, err)
				}
			})
		})
	}
}

// TestSessionsDiffer: sessions that all made the same choices would be no load.
func TestSessionsDiffer(t *testing.T) {
	_, o := newFake(t, 1, "--depth", "2")
	a, b := newChooser(o, 0), newChooser(o, 1)
	if a, b := a.rng.Uint64(), b.rng.Uint64(); a == b {
		t.Errorf("both sessions begin with %d", a)
	}
}
