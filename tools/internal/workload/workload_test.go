package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/check"
	"causalmesh/clientlib"
)

func TestValues(t *testing.T) {
	for _, id := range []check.ValueID{1, 7, 1<<32 | 5, 1<<62 - 1} {
		for _, size := range []int{0, 1, 20, 21, 22, 1000} {
			value := appendValue([]byte("before"), id, size)[len("before"):]
			if want := max(size, len(id.String())+1); len(value) != want {
				t.Fatalf("%v of size %d has %d bytes, want %d", id, size, len(value), want)
			}
			if got := valueID(value); got != id {
				t.Fatalf("%q is %v, want %v", value, got, id)
			}
		}
	}
}

// TestSpoiltValues: what was not written is no value of anybody's.
func TestSpoiltValues(t *testing.T) {
	const id check.ValueID = 1<<32 | 9
	value := appendValue(nil, id, 64)
	other := appendValue(nil, id+1, 64)
	for name, spoilt := range map[string][]byte{
		"empty":              {},
		"cut at the end":     value[:len(value)/4],
		"cut by a byte":      value[:len(value)-1],
		"longer":             append(slices.Clone(value), 'x'),
		"one bit":            append(slices.Clone(value[:63]), value[63]^1),
		"another's filler":   append(slices.Clone(value[:20]), other[20:]...),
		"without filler":     []byte(id.String()),
		"no id":              []byte("|abc"),
		"foreign":            []byte("hello"),
		"separator replaced": []byte("v12-"),
	} {
		if got := valueID(spoilt); got < 1<<63 {
			t.Errorf("%s: %q is taken for %v", name, spoilt, got)
		}
	}
}

func TestItemOf(t *testing.T) {
	const id check.ValueID = 77
	stamp, dot := causal.Stamp{Time: 5, Origin: 1}, causal.Dot{Origin: 1, Counter: 3}
	later := time.Unix(0, 50)
	for _, c := range []struct {
		name  string
		found clientlib.Item
		want  check.Item
	}{
		{"never written", clientlib.Item{}, check.Item{Key: 4}},
		{"a value", clientlib.Item{Found: true, Value: appendValue(nil, id, 40), Version: clientlib.Version{Stamp: stamp, Dot: dot}},
			check.Item{Key: 4, Seen: check.SeenValue, Value: id, Stamp: stamp, Dot: dot}},
		{"a value that will expire", clientlib.Item{Found: true, Value: appendValue(nil, id, 0), Version: clientlib.Version{Stamp: stamp, Dot: dot, Deadline: later}},
			check.Item{Key: 4, Seen: check.SeenValue, Value: id, Stamp: stamp, Dot: dot}},
		{"deleted", clientlib.Item{Version: clientlib.Version{Stamp: stamp, Dot: dot, Tombstone: true}},
			check.Item{Key: 4, Seen: check.SeenTombstone, Stamp: stamp, Dot: dot}},
		{"expired", clientlib.Item{Version: clientlib.Version{Stamp: stamp, Dot: dot, Tombstone: true, Deadline: later}},
			check.Item{Key: 4, Seen: check.SeenExpired, Stamp: stamp, Dot: dot}},
	} {
		if got := ItemOf(4, &c.found); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestFailureOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Failure
	}{
		{fmt.Errorf("%w: %w", clientlib.ErrUnknownOutcome, clientlib.ErrOverloaded), FailedUnknown},
		{fmt.Errorf("%w: pending bytes", clientlib.ErrOverloaded), FailedOverloaded},
		{clientlib.ErrUnavailable, FailedUnavailable},
		{clientlib.ErrNotReady, FailedNotReady},
		{fmt.Errorf("%w: %w", clientlib.ErrDisconnected, context.DeadlineExceeded), FailedDisconnected},
		{context.DeadlineExceeded, FailedDeadline},
		{clientlib.ErrFutureContext, FailedOther},
		{clientlib.ErrEpoch, FailedOther},
		{errors.New("anything"), FailedOther},
	} {
		if got := failureOf(c.err); got != c.want {
			t.Errorf("%v is %v, want %v", c.err, got, c.want)
		}
	}
}

// TestBuckets: buckets join without gaps, and none is wide.
func TestBuckets(t *testing.T) {
	last := 0
	for i := range 40 * latencySteps {
		bound := boundOf(i)
		if bucketOf(bound) != i || bucketOf(bound+1) != i+1 {
			t.Fatalf("bucket %d ends at %d, which is of bucket %d, and the next of %d", i, bound, bucketOf(bound), bucketOf(bound+1))
		}
		if width := int(bound) - last; i > 0 && width > max(1, int(bound)/latencySteps) {
			t.Fatalf("bucket %d, up to %d, is %d wide", i, bound, width)
		}
		last = int(bound)
	}
	if b := bucketOf(1<<63 - 1); b >= len((&Latencies{}).buckets) {
		t.Fatalf("the longest duration is of bucket %d", b)
	}
	if bucketOf(-1) != 0 {
		t.Fatal("a negative duration")
	}
}

func TestQuantile(t *testing.T) {
	var l Latencies
	if l.Quantile(0.99) != 0 {
		t.Fatal("of nothing")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	exact := make([]time.Duration, 10_000)
	for i := range exact {
		exact[i] = time.Duration(rng.ExpFloat64() * float64(time.Millisecond))
		l.Add(exact[i])
	}
	slices.Sort(exact)
	for _, q := range []float64{0.0001, 0.5, 0.99, 0.999, 1} {
		want := exact[int(q*float64(len(exact)))-1]
		if got := l.Quantile(q); got < want || got > want+want/16 {
			t.Errorf("quantile %g is %v, want %v", q, got, want)
		}
	}
}
