package store

import (
	"bytes"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/daemon/store/redistest"
)

// TestFlush goes through every branch of the flush script. Version n of key k is
// version("k", "v<n>", n).
func TestFlush(t *testing.T) {
	f := newFixture(t, nil, nil)
	v := func(n int) *causal.Version { return version("k", "v"+string(rune('0'+n)), n) }
	set := func(value string) func() { return func() { f.do("SET", "k", value) } }
	del := func() { f.do("DEL", "k") }
	flushed := func(v *causal.Version) func() { return func() { f.mustFlush(v) } }
	imported := func(value string) *causal.Version { return &causal.Version{Key: []byte("k"), Value: []byte(value)} }
	deleted := &causal.Version{Key: []byte("k"), Tombstone: true}

	for _, c := range []struct {
		name   string
		before []func()
		flush  *causal.Version
		over   *causal.Version
		status causal.FlushStatus
		found  causal.Version
		value  any // at k afterwards
	}{
		{"first", nil, v(1), nil, causal.FlushDone, causal.Version{}, "v1"},
		{"first tombstone", nil, tombstone("k", 1), nil, causal.FlushDone, causal.Version{}, nil},
		{"higher stamp", []func(){flushed(v(1))}, v(2), nil, causal.FlushDone, causal.Version{}, "v2"},
		{"same again", []func(){flushed(v(1))}, v(1), nil, causal.FlushDone, causal.Version{}, "v1"},
		{"same tombstone again", []func(){flushed(tombstone("k", 1))}, tombstone("k", 1), nil, causal.FlushDone, causal.Version{}, nil},
		{"lower stamp", []func(){flushed(v(2))}, v(1), nil, causal.FlushSuperseded, *v(2), "v2"},
		{"lower than a tombstone", []func(){flushed(tombstone("k", 2))}, v(1), nil, causal.FlushSuperseded, *tombstone("k", 2), nil},
		{"tombstone lower than a value", []func(){flushed(v(2))}, tombstone("k", 1), nil, causal.FlushSuperseded, *v(2), "v2"},
		{"tombstone over a value", []func(){flushed(v(1))}, tombstone("k", 2), nil, causal.FlushDone, causal.Version{}, nil},
		{"value over a tombstone", []func(){flushed(tombstone("k", 1))}, v(2), nil, causal.FlushDone, causal.Version{}, "v2"},

		{"foreign change", []func(){flushed(v(1)), set("theirs")}, v(2), nil, causal.FlushForeign, left("k", "theirs", v(1).Stamp), "theirs"},
		{"foreign change, lower", []func(){flushed(v(2)), set("theirs")}, v(1), nil, causal.FlushForeign, left("k", "theirs", v(2).Stamp), "theirs"},
		{"foreign change, same again", []func(){flushed(v(1)), set("theirs")}, v(1), nil, causal.FlushForeign, left("k", "theirs", v(1).Stamp), "theirs"},
		{"foreign delete", []func(){flushed(v(1)), del}, v(2), nil, causal.FlushForeign, removed("k", v(1).Stamp), nil},
		{"foreign value over a tombstone", []func(){flushed(tombstone("k", 1)), set("theirs")}, v(2), nil, causal.FlushForeign, left("k", "theirs", v(1).Stamp), "theirs"},
		{"foreign value never seen", []func(){set("theirs")}, v(1), nil, causal.FlushForeign, left("k", "theirs", causal.ForeignStamp), "theirs"},
		{"foreign empty value never seen", []func(){set("")}, v(1), nil, causal.FlushForeign, left("k", "", causal.ForeignStamp), ""},
		{"tombstone over a foreign change", []func(){flushed(v(1)), set("theirs")}, tombstone("k", 2), nil, causal.FlushForeign, left("k", "theirs", v(1).Stamp), "theirs"},

		{"import", []func(){flushed(v(1)), set("theirs")}, version("k", "theirs", 2), nil, causal.FlushDone, causal.Version{}, "theirs"},
		{"import of one never seen", []func(){set("theirs")}, version("k", "theirs", 2), nil, causal.FlushDone, causal.Version{}, "theirs"},
		{"import of a delete", []func(){flushed(v(1)), del}, tombstone("k", 2), nil, causal.FlushDone, causal.Version{}, nil},
		{"write over an import", []func(){flushed(v(1)), set("theirs")}, v(2), imported("theirs"), causal.FlushDone, causal.Version{}, "v2"},
		{"write over an imported delete", []func(){flushed(v(1)), del}, v(2), deleted, causal.FlushDone, causal.Version{}, "v2"},
		{"write over an imported empty value", []func(){flushed(v(1)), set("")}, v(2), imported(""), causal.FlushDone, causal.Version{}, "v2"},
		{"changed again since the import", []func(){flushed(v(1)), set("theirs again")}, v(2), imported("theirs"), causal.FlushForeign, left("k", "theirs again", v(1).Stamp), "theirs again"},
		{"deleted since the import", []func(){flushed(v(1)), del}, v(2), imported("theirs"), causal.FlushForeign, removed("k", v(1).Stamp), nil},
		{"deleted since the import of an empty value", []func(){flushed(v(1)), del}, v(2), imported(""), causal.FlushForeign, removed("k", v(1).Stamp), nil},
		{"set since the import of a delete", []func(){flushed(v(1)), set("")}, v(2), deleted, causal.FlushForeign, left("k", "", v(1).Stamp), ""},
		{"imported, but nothing changed", []func(){flushed(v(1))}, v(2), imported("theirs"), causal.FlushDone, causal.Version{}, "v2"},
		{"import is older than what was flushed before the change",
			[]func(){flushed(v(3)), set("theirs")}, v(2), imported("theirs"), causal.FlushForeign, left("k", "theirs", v(3).Stamp), "theirs"},
		{"changed back after the write over the import was flushed",
			[]func(){flushed(v(2)), set("theirs")}, v(2), imported("theirs"), causal.FlushForeign, left("k", "theirs", v(2).Stamp), "theirs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.t = t
			f.do("FLUSHALL")
			for _, step := range c.before {
				step()
			}
			for range 2 { // an answer that got lost is asked for again
				got := f.flush(c.flush, c.over)
				if got.Status != c.status || !sameVersion(got.Found, c.found) {
					t.Fatalf("%s\nwant status %d, found %s", showFlush(got), c.status, show(c.found))
				}
				if value := f.get("k"); value != c.value {
					t.Fatalf("redis-cli GET: %v, want %v", value, c.value)
				}
			}
			if c.status == causal.FlushDone {
				f.wantLoad("k", causal.LoadFound, *c.flush)
			}
		})
	}
}

// TestStampOrder compares stamps that differ least, where doubles and the text
// order of a locale go wrong.
func TestStampOrder(t *testing.T) { testStampOrder(t, newFixture(t, nil, nil)) }

func testStampOrder(t *testing.T, f *fixture) {
	t.Helper()
	stamp := func(time causal.Time, origin causal.ReplicaID) causal.Stamp {
		return causal.Stamp{Time: time, Origin: origin}
	}
	for _, c := range []struct{ low, high causal.Stamp }{
		{stamp(1, 0), stamp(2, 0)},
		{stamp(1<<53, 0), stamp(1<<53+1, 0)},
		{stamp(base, 0), stamp(base+1, 0)},
		{stamp(base, 0), stamp(base, 1)},
		{stamp(base, 9), stamp(base, 10)},
		{stamp(base, 63), stamp(base+1, 0)},
		{stamp(0xff, 0), stamp(0x100, 0)},
		{stamp(0xaa, 0), stamp(0xb0, 0)}, // Danish: aa is a letter after z
		{stamp(0xffffffff, 0), stamp(0x100000000, 0)},
		{stamp(0x0aaaaaaaaaaaaaaa, 0), stamp(0x0b00000000000000, 0)},
		{stamp(maxTime-1, 63), stamp(maxTime, 0)},
	} {
		f.do("FLUSHALL")
		low, high := version("k", "low", 0), version("k", "high", 0)
		low.Stamp, high.Stamp = c.low, c.high
		f.mustFlush(low)
		f.mustFlush(high)
		if got := f.flush(low, nil); got.Status != causal.FlushSuperseded || !sameVersion(got.Found, *high) {
			t.Errorf("%s, then %s, then %s again: %s", c.low, c.high, c.low, showFlush(got))
		}
	}
}

// TestStampOrderInDanish runs the same on a server whose locale sorts hexadecimal
// text in another order.
func TestStampOrderInDanish(t *testing.T) {
	localedef, err := exec.LookPath("localedef")
	if err != nil {
		t.Skip("NOT TESTED: localedef is not installed; apt-get install locales")
	}
	const name = "da_DK.UTF-8"
	dir := t.TempDir()
	if out, err := exec.Command(localedef, "-i", "da_DK", "-f", "UTF-8", filepath.Join(dir, name)).CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: no Danish locale; apt-get install locales: %s", out)
	}
	t.Setenv("LOCPATH", dir)
	t.Setenv("LC_ALL", name)
	f := newFixture(t, redistest.Start(t), nil)
	if got := f.do("EVAL", "return tostring('aa' < 'b0')", 0); got != "false" {
		t.Skip("NOT TESTED: redis-server does not use the locale")
	}
	testStampOrder(t, f)
}

func TestFence(t *testing.T) {
	epoch := testEpoch
	f := newFixture(t, nil, func(c *Config) { c.Epoch = func() causal.Epoch { return epoch } })
	lastEpoch := func(want causal.Epoch) {
		t.Helper()
		if got, err := f.store.LastEpoch(t.Context()); got != want || err != nil {
			t.Fatalf("LastEpoch: %d, %v, want %d", got, err, want)
		}
	}
	lastEpoch(0)
	f.mustFlush(version("k", "v1", 1))
	lastEpoch(testEpoch)

	epoch = 1<<53 + 2
	f.mustFlush(version("k", "v2", 2))
	lastEpoch(epoch)
	epoch-- // by one, where doubles cannot tell
	if got := f.flush(version("k", "v3", 3), nil); got.Status != causal.FlushFenced || !sameVersion(got.Found, causal.Version{}) {
		t.Fatalf("an earlier epoch: %s", showFlush(got))
	}
	if f.get("k") != "v2" || f.store.Stats().Fenced != 1 {
		t.Fatalf("%v, %+v", f.get("k"), f.store.Stats())
	}
	lastEpoch(1<<53 + 2)
	// Versions keep the epoch that they are from, whoever flushes them.
	epoch = 1<<53 + 3
	f.mustFlush(version("k", "v3", 3))
	f.wantLoad("k", causal.LoadFound, *version("k", "v3", 3))

	epoch = 0
	if got := f.flush(version("k", "v4", 4), nil); got.Status != causal.FlushFailed {
		t.Fatalf("without an epoch: %s", showFlush(got))
	}
	for _, bad := range []string{"7", "000000000000000X", "FFFFFFFFFFFFFFFF", ""} {
		epoch = testEpoch
		f.do("SET", fenceKey, bad)
		if got := f.flush(version("k", "v4", 4), nil); got.Status != causal.FlushFailed {
			t.Fatalf("fence %q: %s", bad, showFlush(got))
		}
		if _, err := f.store.LastEpoch(t.Context()); err == nil || !strings.Contains(err.Error(), fenceKey) {
			t.Fatalf("fence %q: LastEpoch: %v", bad, err)
		}
	}
	f.do("DEL", fenceKey)
	f.do("LPUSH", fenceKey, "x")
	if got := f.flush(version("k", "v4", 4), nil); got.Status != causal.FlushFailed {
		t.Fatalf("a list as fence: %s", showFlush(got))
	}
	if f.get("k") != "v3" {
		t.Fatalf("a failed flush stored %v", f.get("k"))
	}
}

func TestBinaryAndLarge(t *testing.T) {
	f := newFixture(t, nil, nil)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	limits := causal.DefaultLimits
	for name, v := range map[string]*causal.Version{
		"binary":        version(string(every), string(every), 1),
		"empty value":   version("k", "", 1),
		"empty key":     version("", "v", 1),
		"braces":        version("{a}b}{", "v", 1),
		"line ends":     version("a\r\nb", "c\r\n$-1\r\n", 1),
		"largest value": version("large", string(bytes.Repeat([]byte{0xff, 0}, limits.ValueBytes/2)), 1),
		"longest key":   version(strings.Repeat("x", limits.KeyBytes), "v", 1),
	} {
		t.Run(name, func(t *testing.T) {
			f.t = t
			f.do("FLUSHALL")
			f.mustFlush(v)
			if got := f.get(string(v.Key)); got != string(v.Value) {
				t.Fatalf("GET: %d bytes, want %d", len(got.(string)), len(v.Value))
			}
			f.wantLoad(string(v.Key), causal.LoadFound, *v)
			if got := f.flush(v, nil); got.Status != causal.FlushDone {
				t.Fatalf("again: %s", showFlush(got))
			}
		})
	}
}

// TestTombstoneGrace: an older version cannot come back during the grace period,
// and nothing is left after it.
func TestTombstoneGrace(t *testing.T) {
	const grace, short = time.Hour, 100 * time.Millisecond
	f := newFixture(t, nil, func(c *Config) { c.Grace = grace })
	start := time.Now()
	f.mustFlush(tombstone("k", 2))
	if got := f.flush(version("k", "v1", 1), nil); got.Status != causal.FlushSuperseded || !sameVersion(got.Found, *tombstone("k", 2)) {
		t.Fatalf("within the grace period: %s", showFlush(got))
	}
	ttl := time.Duration(f.do("PTTL", metaPrefix+"k").(int64)) * time.Millisecond
	if passed := time.Since(start); ttl > grace || ttl < grace-passed-time.Millisecond {
		t.Fatalf("the marker is kept for another %s after %s, the grace period is %s", ttl, passed, grace)
	}
	brief := newFixture(t, f.server, func(c *Config) { c.Grace = short })
	start = time.Now()
	brief.mustFlush(tombstone("k", 3))
	f.eventually("the marker is dropped", func() bool { return f.do("EXISTS", metaPrefix+"k") == int64(0) })
	if passed := time.Since(start); passed < short {
		t.Fatalf("dropped after %s, the grace period is %s", passed, short)
	}
	f.wantLoad("k", causal.LoadAbsent, causal.Version{})
	f.mustFlush(version("k", "v1", 1)) // Nobody remembers that it is older.
	// A value over a tombstone ends its time to live.
	f.mustFlush(tombstone("k", 3))
	f.mustFlush(version("k", "v4", 4))
	if ttl := f.do("PTTL", metaPrefix+"k"); ttl != int64(-1) {
		t.Fatalf("metadata of a live value expires in %v ms", ttl)
	}
}

func TestDeadline(t *testing.T) {
	const grace = time.Hour
	f := newFixture(t, nil, func(c *Config) { c.Grace = grace })
	v := version("k", "v", 1)
	v.Deadline = causal.TimeOf(time.Now().Add(never))
	f.mustFlush(v)
	f.wantLoad("k", causal.LoadFound, *v)
	// One that lives long enough for it to be seen that it was there.
	life := 50 * time.Millisecond
	f.eventually("a value is seen before its deadline", func() bool {
		f.do("FLUSHALL")
		life *= 2
		v.Deadline = causal.TimeOf(time.Now().Add(life))
		f.mustFlush(v)
		seen := f.get("k") == "v"
		if now := causal.TimeOf(time.Now()); !seen && now < v.Deadline {
			t.Fatalf("expired %s before its deadline", v.Deadline.Sub(now))
		}
		return seen
	})
	f.eventually("the value expires", func() bool { return f.get("k") == nil })
	if now := causal.TimeOf(time.Now()); now < v.Deadline {
		t.Fatalf("expired %s before its deadline", v.Deadline.Sub(now))
	}
	// Expired, it is its own tombstone: for loads, for the order, for foreign values.
	expired := *v
	expired.Value, expired.Tombstone = nil, true
	f.wantLoad("k", causal.LoadFound, expired)
	if got := f.flush(version("k", "v0", 0), nil); got.Status != causal.FlushSuperseded || !sameVersion(got.Found, expired) {
		t.Fatalf("an older version: %s", showFlush(got))
	}
	if got := f.flush(v, nil); got.Status != causal.FlushDone || f.get("k") != nil {
		t.Fatalf("the same again: %s, then %v", showFlush(got), f.get("k"))
	}
	until := (int64(v.Deadline)+999_999)/1e6 + grace.Milliseconds()
	if got := f.do("PEXPIRETIME", metaPrefix+"k"); got != until {
		t.Fatalf("the marker is kept until %v ms, want %d", got, until)
	}
	f.do("SET", "k", "theirs")
	f.wantLoad("k", causal.LoadForeign, left("k", "theirs", v.Stamp))
	f.do("DEL", "k")
	// The tombstone that the home writes of it, and a value without a deadline.
	expired.Stamp.Time++
	f.mustFlush(&expired)
	f.wantLoad("k", causal.LoadFound, expired)
	f.mustFlush(version("k", "v5", 5))
	if a, b := f.do("PTTL", "k"), f.do("PTTL", metaPrefix+"k"); a != int64(-1) || b != int64(-1) {
		t.Fatalf("times to live %v, %v of a value without deadline", a, b)
	}
}

// TestDeadlineInMilliseconds: Redis gets the deadline exactly, rounded up.
func TestDeadlineInMilliseconds(t *testing.T) {
	f := newFixture(t, nil, nil)
	day := causal.Time(24 * time.Hour)
	at := (causal.TimeOf(time.Now())/day + 2) * day
	for _, c := range []struct {
		deadline causal.Time
		ms       int64
	}{
		{at, int64(at / 1e6)},
		{at + 1, int64(at/1e6) + 1},
		{at + 999_999, int64(at/1e6) + 1},
		{at + 1_000_000, int64(at/1e6) + 1},
		{at + 1_000_001, int64(at/1e6) + 2},
		{maxTime, 9223372036855},
	} {
		v := version("k", "v", 1)
		v.Deadline = c.deadline
		f.do("FLUSHALL")
		f.mustFlush(v)
		if got := f.do("PEXPIRETIME", "k"); got != c.ms {
			t.Errorf("deadline %d: expires at %v ms, want %d", c.deadline, got, c.ms)
		}
		f.wantLoad("k", causal.LoadFound, *v)
	}
	passed := version("k", "v", 1)
	passed.Deadline = causal.TimeOf(time.Now()) - causal.Time(time.Second)
	f.do("FLUSHALL")
	f.mustFlush(passed)
	passed.Value, passed.Tombstone = nil, true
	f.wantLoad("k", causal.LoadFound, *passed)
}

// TestNoMemory: a flush that Redis has no memory for leaves nothing behind.
func TestNoMemory(t *testing.T) {
	f := newFixture(t, nil, nil)
	f.mustFlush(version("k", "v1", 1))
	before := f.meta("k")
	f.do("CONFIG", "SET", "maxmemory", "1")
	if got := f.flush(version("k", "v2", 2), nil); got.Status != causal.FlushFailed {
		t.Fatalf("%s", showFlush(got))
	}
	if f.get("k") != "v1" || !maps.Equal(f.meta("k"), before) {
		t.Fatalf("%v, %v", f.get("k"), f.meta("k"))
	}
	f.wantLoad("k", causal.LoadFound, *version("k", "v1", 1))
	// A delete frees memory: done, and done whole.
	f.mustFlush(tombstone("k", 3))
	f.wantLoad("k", causal.LoadFound, *tombstone("k", 3))
	f.do("CONFIG", "SET", "maxmemory", "0")
	f.mustFlush(version("k", "v4", 4))
}
