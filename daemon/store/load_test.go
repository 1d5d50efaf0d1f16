package store

import (
	"maps"
	"strings"
	"testing"
	"time"

	"causalmesh/causal"
)

func TestLoad(t *testing.T) {
	f := newFixture(t, nil, nil)
	v1 := version("k", "v1", 1)
	for _, c := range []struct {
		name   string
		before func()
		status causal.LoadStatus
		want   causal.Version
	}{
		{"absent", func() {}, causal.LoadAbsent, causal.Version{}},
		{"value", func() { f.mustFlush(v1) }, causal.LoadFound, *v1},
		{"tombstone", func() { f.mustFlush(tombstone("k", 1)) }, causal.LoadFound, *tombstone("k", 1)},
		{"changed", func() { f.mustFlush(v1); f.do("SET", "k", "theirs") }, causal.LoadForeign, left("k", "theirs", v1.Stamp)},
		{"appended to", func() { f.mustFlush(v1); f.do("APPEND", "k", "!") }, causal.LoadForeign, left("k", "v1!", v1.Stamp)},
		{"emptied", func() { f.mustFlush(v1); f.do("SET", "k", "") }, causal.LoadForeign, left("k", "", v1.Stamp)},
		{"deleted", func() { f.mustFlush(v1); f.do("DEL", "k") }, causal.LoadForeign, removed("k", v1.Stamp)},
		{"set over a tombstone", func() { f.mustFlush(tombstone("k", 1)); f.do("SET", "k", "theirs") }, causal.LoadForeign, left("k", "theirs", v1.Stamp)},
		{"set to the same", func() { f.mustFlush(v1); f.do("SET", "k", "v1") }, causal.LoadFound, *v1},
		{"never seen", func() { f.do("SET", "k", "theirs") }, causal.LoadFound, left("k", "theirs", causal.ForeignStamp)},
		{"never seen, empty", func() { f.do("SET", "k", "") }, causal.LoadFound, left("k", "", causal.ForeignStamp)},
		{"never seen, a number", func() { f.do("INCR", "k") }, causal.LoadFound, left("k", "1", causal.ForeignStamp)},
		{"deadline far off, deleted", func() {
			v := version("k", "v1", 1)
			v.Deadline = causal.TimeOf(time.Now().Add(time.Hour))
			f.mustFlush(v)
			f.do("DEL", "k")
		}, causal.LoadForeign, removed("k", v1.Stamp)},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.t = t
			f.do("FLUSHALL")
			c.before()
			f.wantLoad("k", c.status, c.want)
			f.wantLoad("k", c.status, c.want) // a load changes no answer
		})
	}
}

// TestFirstSight follows a plain string from its first load on: its changes are
// noticed, and imported as the core does it.
func TestFirstSight(t *testing.T) {
	f := newFixture(t, nil, nil)
	f.do("SET", "k", "theirs")
	f.wantLoad("k", causal.LoadFound, left("k", "theirs", causal.ForeignStamp))
	f.do("SET", "k", "changed")
	f.wantLoad("k", causal.LoadForeign, left("k", "changed", causal.ForeignStamp))
	imported := version("k", "changed", 1)
	f.mustFlush(imported)
	f.wantLoad("k", causal.LoadFound, *imported)
	f.do("DEL", "k")
	f.wantLoad("k", causal.LoadForeign, removed("k", imported.Stamp))
	f.mustFlush(tombstone("k", 2))
	f.wantLoad("k", causal.LoadFound, *tombstone("k", 2))

	// A write over a plain string that was loaded is no conflict.
	f.do("SET", "l", "theirs")
	f.wantLoad("l", causal.LoadFound, left("l", "theirs", causal.ForeignStamp))
	f.mustFlush(version("l", "ours", 1))
	f.wantLoad("l", causal.LoadFound, *version("l", "ours", 1))
}

// TestUnreadable: to load what no store has written is a failure, counted, never
// absent, and not returned as a version. A flush goes over it.
func TestUnreadable(t *testing.T) {
	f := newFixture(t, nil, nil)
	good := map[string]string{}
	hset := func(change map[string]string) func() {
		return func() {
			fields := maps.Clone(good)
			maps.Copy(fields, change)
			f.do("DEL", metaPrefix+"k")
			for name, value := range fields {
				if value != "-" {
					f.do("HSET", metaPrefix+"k", name, value)
				}
			}
		}
	}
	f.mustFlush(version("k", "v1", 9))
	maps.Copy(good, f.meta("k"))
	if len(good) != 4 { // s e d g
		t.Fatalf("metadata %v", good)
	}
	limit := causal.DefaultLimits.ValueBytes
	for _, c := range []struct {
		name   string
		before func()
		// flushes: a higher version may be stored over it, since what is wrong
		// does not matter to it.
		flushes bool
	}{
		{"list", func() { f.do("DEL", "k"); f.do("LPUSH", "k", "x") }, false},
		{"hash", func() { f.do("DEL", "k"); f.do("HSET", "k", "s", "x") }, false},
		{"metadata is a string", func() { f.do("SET", metaPrefix+"k", "x") }, false},
		{"metadata is a set", func() { f.do("DEL", metaPrefix+"k"); f.do("SADD", metaPrefix+"k", "x") }, false},
		{"value over the limit", func() { f.do("SET", "k", strings.Repeat("x", limit+1)) }, false},
		{"no stamp", hset(map[string]string{"s": "-"}), false},
		{"empty stamp", hset(map[string]string{"s": ""}), false},
		{"short stamp", hset(map[string]string{"s": "1"}), false},
		{"long stamp", hset(map[string]string{"s": strings.Repeat("0", 19)}), false},
		{"upper-case stamp", hset(map[string]string{"s": strings.Repeat("A", 18)}), false},
		{"stamp with a zero byte", hset(map[string]string{"s": "0000000000000001\x0000"}), false},
		{"zero stamp", hset(map[string]string{"s": strings.Repeat("0", 18)}), true},
		{"stamp out of range", hset(map[string]string{"s": strings.Repeat("f", 16) + "00"}), false},
		{"origin out of range", hset(map[string]string{"s": "0000000000000001" + "40"}), false},
		{"no epoch", hset(map[string]string{"e": "-"}), false},
		{"bad epoch", hset(map[string]string{"e": "seventeen"}), false},
		{"no dot", hset(map[string]string{"d": "-"}), false},
		{"bad dot", hset(map[string]string{"d": "1.2"}), true},
		{"dot out of range", hset(map[string]string{"d": "64.0.1"}), true},
		{"dot without counter", hset(map[string]string{"d": "1.0.0"}), true},
		{"negative dot", hset(map[string]string{"d": "1.0.-1"}), true},
		{"no digest", hset(map[string]string{"g": "-"}), false},
		{"bad digest", hset(map[string]string{"g": "x"}), false},
		{"bad deadline", hset(map[string]string{"x": "tomorrow"}), false},
		{"deadline out of range", hset(map[string]string{"x": strings.Repeat("f", 16)}), true},
		{"bad tombstone", hset(map[string]string{"t": "2"}), false},
		{"empty tombstone", hset(map[string]string{"t": ""}), false},
		{"only a tombstone", func() { f.do("DEL", metaPrefix+"k"); f.do("HSET", metaPrefix+"k", "t", "1") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.t = t
			f.do("FLUSHALL")
			f.mustFlush(version("k", "v1", 9))
			c.before()
			before := f.store.Stats()
			f.wantLoad("k", causal.LoadFailed, causal.Version{})
			if after := f.store.Stats(); after.LoadErrors != before.LoadErrors+1 || after.Unreadable != before.Unreadable+1 {
				t.Errorf("before %+v\nafter %+v", before, after)
			}
			got := f.flush(version("k", "v2", 10), nil)
			if got.Status != causal.FlushDone {
				t.Fatalf("flush: %s", showFlush(got))
			}
			f.wantLoad("k", causal.LoadFound, *version("k", "v2", 10))
			over := uint64(1)
			if c.flushes {
				over = 0 // the script could read it, only not all of it made sense
			}
			if after := f.store.Stats(); after.FlushErrors != before.FlushErrors || after.Overwritten != before.Overwritten+over {
				t.Errorf("before %+v\nafter %+v", before, after)
			}
		})
	}
}

// TestUnknownFields: a hash with fields of a later version is read, and a hash with
// no field that we know counts as none.
func TestUnknownFields(t *testing.T) {
	f := newFixture(t, nil, nil)
	f.mustFlush(version("k", "v", 1))
	f.do("HSET", metaPrefix+"k", "later", "x")
	f.wantLoad("k", causal.LoadFound, *version("k", "v", 1))
	f.do("HSET", metaPrefix+"l", "later", "x")
	f.wantLoad("l", causal.LoadAbsent, causal.Version{})
}

func TestRefusedAtTheDoor(t *testing.T) {
	f := newFixture(t, nil, nil)
	limits := causal.DefaultLimits
	for _, key := range []string{ReservedPrefix, fenceKey, metaPrefix + "k", strings.Repeat("x", limits.KeyBytes+1)} {
		if got := f.load(key); got.Status != causal.LoadFailed || string(got.Key) != key || got.ID != 7 {
			t.Errorf("load of %.40q: status %d", key, got.Status)
		}
		if got := f.flush(version(key, "v", 1), nil); got.Status != causal.FlushFailed {
			t.Errorf("flush of %.40q: %s", key, showFlush(got))
		}
	}
	if got := f.flush(version("k", strings.Repeat("x", limits.ValueBytes+1), 1), nil); got.Status != causal.FlushFailed {
		t.Errorf("flush of a value over the limit: %s", showFlush(got))
	}
	if got := f.flush(&causal.Version{Key: []byte("k")}, nil); got.Status != causal.FlushFailed {
		t.Errorf("flush of an absent version: %s", showFlush(got))
	}
	if s := f.store.Stats(); s.Refused != 10 || s.RoundTrips != 0 {
		t.Errorf("%+v", s)
	}
	for key, want := range map[string]error{"causalmesh": nil, "k": nil, "": nil, "causalmesh:": ErrReservedKey, "causalmesh:v:k": ErrReservedKey} {
		if err := CheckKey([]byte(key)); err != want {
			t.Errorf("CheckKey(%q): %v, want %v", key, err, want)
		}
	}
}

// TestKeyIsCopied: the caller may use the key's memory again at once.
func TestKeyIsCopied(t *testing.T) {
	f := newFixture(t, nil, nil)
	f.do("SET", "aaaa", "v")
	key := []byte("aaaa")
	f.store.Submit([]causal.LoadRequest{{ID: 1, Key: key}}, nil)
	copy(key, "bbbb")
	if r := f.await().Loads[0]; string(r.Key) != "aaaa" || r.Status != causal.LoadFound {
		t.Fatalf("%+v", r)
	}
}
