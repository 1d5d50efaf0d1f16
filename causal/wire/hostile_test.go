package wire

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"causalmesh/causal"
)

// A body that is cut anywhere, or has a byte too many, is refused; a body with any
// one byte changed is refused or read, without a panic.
func TestDamagedBodies(t *testing.T) {
	for _, s := range samples() {
		body := s.body()
		for n := range body {
			if _, err := s.decode(body[:n:n]); err == nil {
				t.Errorf("%s: decodes from %d of %d bytes", s.name, n, len(body))
			}
		}
		if _, err := s.decode(append(body, 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: with a byte too many: %v", s.name, err)
		}
		for i := range body {
			was := body[i]
			for change := 1; change < 256; change++ {
				body[i] = was ^ byte(change)
				_, _ = s.decode(body)
			}
			body[i] = was
		}
	}
}

// build makes a body out of raw pieces, with the header of an array around them.
func build(pieces ...any) []byte {
	b := msgp.AppendArrayHeader(nil, uint32(len(pieces)))
	for _, p := range pieces {
		switch p := p.(type) {
		case int:
			b = msgp.AppendInt64(b, int64(p))
		case string: // raw bytes
			b = append(b, p...)
		default:
			panic("neither a number nor raw bytes")
		}
	}
	return b
}

const (
	null       = "\xc0"
	emptyArray = "\x90"
	hugeArray  = "\xdd\xff\xff\xff\xff"
	hugeBin    = "\xc6\xff\xff\xff\xff"
	tooBig     = "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
)

func TestHostileRequests(t *testing.T) {
	longVector := "\x91\xdc\x00\x41" + strings.Repeat("\x00", causal.MaxReplicas+1)
	longKey := string(msgp.AppendBytes(nil, make([]byte, MaxKeyBytes+1)))
	longValue := string(msgp.AppendBytes(nil, make([]byte, MaxValueBytes+1)))
	keys := string(msgp.AppendArrayHeader(nil, MaxBatchKeys+1)) + strings.Repeat("\xc4\x00", MaxBatchKeys+1)
	branches := string(msgp.AppendArrayHeader(nil, MaxBranches+1)) + strings.Repeat("\x91\x90", MaxBranches+1)
	dots := string(msgp.AppendArrayHeader(nil, causal.MaxReplicas+1)) + strings.Repeat("\x93\x00\x00\x01", causal.MaxReplicas+1)
	for _, c := range []struct {
		name  string
		body  []byte
		cause error // beside ErrMalformed
	}{
		{"nothing", nil, nil},
		{"no array", []byte{0x10}, nil},
		{"empty array", []byte{0x90}, nil},
		{"another type", build(17, 1, 1, 1, 0, emptyArray, 0, emptyArray), errUnknown},
		{"type does not fit", build(256+16, 1, 1, 1, 0, emptyArray, 0, emptyArray), nil},
		{"operation 0", build(16, 0, 1, 1, 0, emptyArray, 0, emptyArray), errUnknown},
		{"operation 6", build(16, 6, 1, 1, 0, emptyArray, 0, emptyArray), errUnknown},
		{"element too many", build(16, 1, 1, 1, 0, emptyArray, 0, emptyArray, 0), errLength},
		{"write without own", build(16, 3, 1, 1, 0, emptyArray, 0, emptyArray), errLength},
		{"number does not fit", build(16, 1, 1, tooBig, 0, emptyArray, 0, emptyArray), nil},
		{"session is negative", build(16, 1, -1, 1, 0, emptyArray, 0, emptyArray), nil},
		{"time is a text", build(16, 1, 1, 1, 0, emptyArray, "\xa10", emptyArray), nil},
		{"known is nil", build(16, 1, 1, 1, 0, null, 0, emptyArray), nil},
		{"known is huge", build(16, 1, 1, 1, 0, hugeArray, 0, emptyArray), msgp.ErrShortBytes},
		{"known is long", build(16, 1, 1, 1, 0, branches, 0, emptyArray), causal.ErrTooLarge},
		{"vector is long", build(16, 1, 1, 1, 0, "\x91"+longVector, 0, emptyArray), causal.ErrTooLarge},
		{"vector is huge", build(16, 1, 1, 1, 0, "\x91\x91"+hugeArray, 0, emptyArray), msgp.ErrShortBytes},
		{"signed vector is empty", build(16, 1, 1, 1, 0, "\x91\x90", 0, emptyArray), errLength},
		{"signed vector is long", build(16, 1, 1, 1, 0, "\x91\x93\x90\xc4\x00\x00", 0, emptyArray), errLength},
		{"tag is short", build(16, 1, 1, 1, 0, "\x91\x92\x90\xc4\x01x", 0, emptyArray), errLength},
		{"tag is zero", build(16, 1, 1, 1, 0, "\x91\x92\x90\xc4\x10"+strings.Repeat("\x00", 16), 0, emptyArray), errZeroTag},
		{"tag is nil", build(16, 1, 1, 1, 0, "\x91\x92\x90\xc0", 0, emptyArray), nil},
		{"keys are huge", build(16, 1, 1, 1, 0, emptyArray, 0, hugeArray), msgp.ErrShortBytes},
		{"keys are many", build(16, 2, 1, 1, 0, emptyArray, 0, keys), causal.ErrTooLarge},
		{"key is huge", build(16, 1, 1, 1, 0, emptyArray, 0, "\x91"+hugeBin), msgp.ErrShortBytes},
		{"key is long", build(16, 1, 1, 1, 0, emptyArray, 0, "\x91"+longKey), causal.ErrTooLarge},
		{"key is a text", build(16, 1, 1, 1, 0, emptyArray, 0, "\x91\xa1k"), nil},
		{"own is long", build(16, 4, 1, 1, 0, emptyArray, 0, emptyArray, dots), causal.ErrTooLarge},
		{"own origin does not fit", build(16, 4, 1, 1, 0, emptyArray, 0, emptyArray, "\x91\x93\x40\x00\x01"), causal.ErrTooLarge},
		{"own incarnation does not fit", build(16, 4, 1, 1, 0, emptyArray, 0, emptyArray, "\x91\x93\x00"+tooBig+"\x01"), nil},
		{"own is two elements", build(16, 4, 1, 1, 0, emptyArray, 0, emptyArray, "\x91\x92\x00\x00"), errLength},
		{"value is long", build(16, 3, 1, 1, 0, emptyArray, 0, emptyArray, emptyArray, longValue, 0), causal.ErrTooLarge},
		{"ttl does not fit", build(16, 3, 1, 1, 0, emptyArray, 0, emptyArray, emptyArray, "\xc4\x00", tooBig), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r causal.Request
			err := DecodeRequest(c.body, &r)
			if !errors.Is(err, ErrMalformed) || c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("got %v, want %v", err, c.cause)
			}
		})
	}
}

func TestHostileReplies(t *testing.T) {
	versions := string(msgp.AppendArrayHeader(nil, MaxBatchKeys+1)) + strings.Repeat(null, MaxBatchKeys+1)
	text := string(msgp.AppendString(nil, strings.Repeat("x", MaxDetailBytes+1)))
	const s = "\x91\x90"
	for _, c := range []struct {
		name  string
		body  []byte
		cause error
	}{
		{"stability left out", build(17, 5, 1, 1, 0, 3, null, 0), errNoRequest},
		{"unknown operation", build(17, 9, 1, 1, 0, 3, s, 0), errUnknown},
		{"code does not fit", build(17, 5, 1, 1, 256, 3, s, 0), nil},
		{"sync with a payload", build(17, 5, 1, 1, 0, 3, s, 0, null), errLength},
		{"read with a tag", build(17, 1, 1, 1, 0, 3, s, 0, emptyArray, null), errLength},
		{"error without a text", build(17, 1, 1, 1, 1, 3, s, 0), errLength},
		{"error with a long text", build(17, 1, 1, 1, 1, 3, s, 0, text), causal.ErrTooLarge},
		{"versions are many", build(17, 2, 1, 1, 0, 3, s, 0, versions), causal.ErrTooLarge},
		{"versions are huge", build(17, 2, 1, 1, 0, 3, s, 0, hugeArray), msgp.ErrShortBytes},
		{"version without a time", build(17, 1, 1, 1, 0, 3, s, 0, "\x91\x95\x00\x00\x01\x00\xc4\x00"), errNoStamp},
		{"tombstone with a value", build(17, 1, 1, 1, 0, 3, s, 0, "\x91\x95\x01\x00\x01\x01\xc4\x00"), errLength},
		{"value missing", build(17, 1, 1, 1, 0, 3, s, 0, "\x91\x94\x00\x00\x01\x01"), errLength},
		{"dependencies of a read", build(17, 1, 1, 1, 0, 3, s, 0, "\x91\x96\x20\x00\x01\x01\x90\xc4\x00"), errUnknown},
		{"mark in a reply", build(17, 1, 1, 1, 0, 3, s, 0, "\x91\x93\x40\x00\x01"), errUnknown},
		{"flag 7", build(17, 1, 1, 1, 0, 3, s, 0, "\x91\x95\xcc\x80\x00\x01\x01\xc4\x00"), errUnknown},
		{"write with a short tag", build(17, 3, 1, 1, 0, 3, s, 0, null, "\xc4\x01x"), errLength},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r causal.Reply
			err := DecodeReply(c.body, &r, nil)
			if !errors.Is(err, ErrMalformed) || c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("got %v, want %v", err, c.cause)
			}
		})
	}
}

func TestHostileMessages(t *testing.T) {
	for _, c := range []struct {
		name  string
		body  []byte
		cause error
	}{
		{"unknown type", build(37, 3, emptyArray, 0, emptyArray), errUnknown},
		{"a request", build(16, 3, emptyArray, 0, emptyArray), errUnknown},
		{"element too many", build(32, 3, emptyArray, 0, emptyArray, 0), errLength},
		{"entries are huge", build(32, 3, emptyArray, 0, hugeArray), msgp.ErrShortBytes},
		{"entry is nil", build(32, 3, emptyArray, 0, "\x91\xc0"), nil},
		{"entry is empty", build(32, 3, emptyArray, 0, "\x91\x90"), nil},
		{"mark with a flag", build(32, 3, emptyArray, 0, "\x91\x93\x41\x00\x01"), errUnknown},
		{"mark is long", build(32, 3, emptyArray, 0, "\x91\x94\x40\x00\x01\x00"), errLength},
		{"mark of no server", build(32, 3, emptyArray, 0, "\x91\x93\x40\x40\x01"), causal.ErrTooLarge},
		{"version of no server", build(32, 3, emptyArray, 0, "\x91\x96\x00\x40\x01\x01\xc4\x00\xc4\x00"), causal.ErrTooLarge},
		{"version without a key", build(32, 3, emptyArray, 0, "\x91\x95\x00\x00\x01\x01\xc4\x00"), errLength},
		{"dependencies are huge", build(32, 3, emptyArray, 0, "\x91\x97\x20\x00\x01\x01"+hugeArray), msgp.ErrShortBytes},
		{"code does not fit", build(35, 3, emptyArray, 0, 1, "\xc4\x00", 256, null), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m causal.Message
			err := DecodeMessage(c.body, &m)
			if !errors.Is(err, ErrMalformed) || c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("got %v, want %v", err, c.cause)
			}
		})
	}
}

func TestHostileContexts(t *testing.T) {
	owns := string(msgp.AppendArrayHeader(nil, MaxOwnWrites+1)) + strings.Repeat("\x90", MaxOwnWrites+1)
	for _, c := range []struct {
		name  string
		body  []byte
		cause error
	}{
		{"nothing", nil, ErrMalformed},
		{"a text", []byte("context"), ErrMalformed},
		{"version 2", build(2, "anything"), ErrVersion},
		{"version 0", build(0, 0, 0, emptyArray, emptyArray), ErrVersion},
		{"element too many", build(1, 0, 0, emptyArray, emptyArray, 0), errLength},
		{"own is huge", build(1, 0, 0, emptyArray, hugeArray), msgp.ErrShortBytes},
		{"own is long", build(1, 0, 0, emptyArray, owns), causal.ErrTooLarge},
		{"own write is empty", build(1, 0, 0, emptyArray, "\x91\x90"), errLength},
		{"own write is nil", build(1, 0, 0, emptyArray, "\x91\x91\xc0"), ErrMalformed},
		{"too long", make([]byte, MaxContextBytes+1), causal.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			if x, err := DecodeContext(c.body); !errors.Is(err, c.cause) {
				t.Errorf("got %v, %v, want %v", x, err, c.cause)
			}
		})
	}
}

// Memory follows the bytes that are there, not the lengths that they claim: after
// any prefix of a good message, a length of 2^32-1 costs next to nothing.
func TestClaimedLengthsTakeNoMemory(t *testing.T) {
	const allowedPerDecode = 4 << 10
	for _, s := range samples() {
		body := s.body()
		for _, claim := range []string{hugeArray, hugeBin, "\xdb\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff"} {
			hostile := make([]byte, 0, len(body)+len(claim))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for n := range body {
				_, _ = s.decode(append(append(hostile, body[:n]...), claim...))
			}
			runtime.ReadMemStats(&after)
			if got := int(after.TotalAlloc-before.TotalAlloc) / len(body); got > allowedPerDecode {
				t.Errorf("%s: % x takes %d bytes", s.name, claim, got)
			}
		}
	}
}

func TestCheckLimits(t *testing.T) {
	if err := CheckLimits(causal.Limits{}); err != nil {
		t.Errorf("the defaults do not fit: %v", err)
	}
	largest := causal.Limits{KeyBytes: MaxKeyBytes, ValueBytes: MaxValueBytes, BatchKeys: 100}
	if err := CheckLimits(largest); err != nil {
		t.Errorf("the largest key and value do not fit: %v", err)
	}
	for name, l := range map[string]causal.Limits{
		"key":         {KeyBytes: MaxKeyBytes + 1},
		"value":       {ValueBytes: MaxValueBytes + 1},
		"batch keys":  {BatchKeys: MaxBatchKeys + 1},
		"all keys":    {KeyBytes: MaxKeyBytes, BatchKeys: 256},
		"batch bytes": {BatchBytes: MaxFrameBytes},
		"own writes":  {OwnWrites: MaxOwnWrites + 1},
		"branches":    {Branches: MaxBranches + 1},
		"ring":        {RingBatch: MaxFrameBytes - causal.DefaultLimits.ValueBytes},
		"one value":   {KeyBytes: 1, ValueBytes: MaxValueBytes, BatchBytes: 1, BatchKeys: 2250},
		"context":     {ContextBytes: MaxContextBytes},
		"negative":    {KeyBytes: -1},
	} {
		if err := CheckLimits(l); !errors.Is(err, ErrLimits) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The constants behind CheckLimits are upper bounds.
func TestLargestParts(t *testing.T) {
	const most = ^uint64(0)
	vector := make(causal.VectorClock, causal.MaxReplicas)
	deps := make([]causal.Dot, causal.MaxReplicas)
	for i := range vector {
		vector[i] = causal.Counter(most)
		deps[i] = causal.Dot{Origin: causal.MaxReplicas - 1, Incarnation: ^causal.Incarnation(0), Counter: causal.Counter(most)}
	}
	version := causal.Version{Dot: deps[0], Stamp: causal.Stamp{Time: causal.Time(most)}, Epoch: causal.Epoch(most),
		Deadline: causal.Time(most), Deps: deps, Key: make([]byte, MaxKeyBytes), Value: make([]byte, MaxValueBytes)}
	signed := causal.SignedVector{Vector: vector, Tag: sampleTag(1)}
	for _, c := range []struct {
		name      string
		have, max int
	}{
		{"vector", len(appendVector(nil, vector)), maxVectorBytes},
		{"signed vector", len(appendSignedVector(nil, &signed)), maxSignedVectorBytes},
		{"signed dot", len(appendSignedDots(nil, []causal.SignedDot{{Dot: deps[0], Tag: signed.Tag}})), 1 + maxSignedDotBytes},
		{"version", len(appendVersion(nil, &version, formWhole, 0)), MaxKeyBytes + MaxValueBytes + maxVersionBytes},
	} {
		if c.have > c.max {
			t.Errorf("%s: %d bytes, counted as at most %d", c.name, c.have, c.max)
		}
	}
}

func TestLongDetailIsCut(t *testing.T) {
	r := causal.Reply{Op: causal.OpRead, Code: causal.CodeUnavailable, Detail: strings.Repeat("x", 2*MaxDetailBytes)}
	var got causal.Reply
	if err := DecodeReply(AppendReply(nil, &r, nil)[FrameHeaderBytes:], &got, nil); err != nil {
		t.Fatal(err)
	}
	if len(got.Detail) != MaxDetailBytes {
		t.Errorf("%d bytes", len(got.Detail))
	}
}
