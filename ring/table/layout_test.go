package table

import "testing"

// TestLayout: these numbers are read by other processes. Whoever changes one raises
// layoutVersion.
func TestLayout(t *testing.T) {
	if layoutVersion != 2 {
		t.Fatal("state the numbers of the new layout here")
	}
	for _, c := range []struct {
		what      string
		got, want uint64
	}{
		{"magic", magic, 0x636175736d657368},
		{"offMagic", offMagic, 0},
		{"offVersion", offVersion, 8},
		{"offBytes", offBytes, 16},
		{"offEpoch", offEpoch, 24},
		{"offKey0", offKey0, 32},
		{"offKey1", offKey1, 40},
		{"offDirectory", offDirectory, 48},
		{"offMaxDepth", offMaxDepth, 56},
		{"offSegments", offSegments, 64},
		{"offMaxSegments", offMaxSegments, 72},
		{"offBlocks", offBlocks, 80},
		{"offShape", offShape, 128},
		{"offDepth", offDepth, 136},
		{"offShut", offShut, 144},
		{"offStableSequence", offStableSequence, 192},
		{"offStableLength", offStableLength, 200},
		{"offStableTag", offStableTag, 208},
		{"offStable", offStable, 224},
		{"offBeat", offBeat, 4032},
		{"headerBytes", headerBytes, 4096},
		{"bucketBytes", bucketBytes, 64},
		{"segmentBytes", segmentBytes, 4096},
		{"entryCounter", entryCounter, 0},
		{"entryTime", entryTime, 8},
		{"entrySmall", entrySmall, 16},
		{"entryMore", entryMore, 24},
		{"flagEntry", flagEntry, 1},
		{"flagTombstone", flagTombstone, 2},
		{"flagComplete", flagComplete, 4},
		{"flagValue", flagValue, 8},
		{"flagEpoch", flagEpoch, 16},
		{"flagDeadline", flagDeadline, 32},
		{"flagIncarnation", flagIncarnation, 64},
		{"a slot", slotOf(0xabcd<<48, 0x7ff8), 0xabcd<<48 | 0xfff<<1 | 1},
		{"a slot's tag", slotTag(0xabcd<<48 | 5), 0xabcd},
		{"a slot's place", slotPlace(0xabcd<<48 | 0xfff<<1 | 1), 0x7ff8},
		{"the first bucket", firstBucket(37<<42 | 1<<41 | 1<<48), 37},
		{"the other bucket", otherBucket(5, 64), 5 ^ 2},
		{"a word of small things", keyBytes(3<<48 | 9<<24), 3},
		{"its value's length", valueBytes(3<<48 | 9<<24), 9},
		{"an entry with all", entryBytes(12<<48 | 8<<24 | flagEpoch | flagDeadline | flagIncarnation), 72},
		{"a short entry", entryBytes(12<<48 | 8<<24), 48},
	} {
		if c.got != c.want {
			t.Errorf("%s is %#x, was %#x", c.what, c.got, c.want)
		}
	}
}

// TestPartsDoNotOverlap: whatever the size, each part of the region has its own place,
// at the boundary it needs.
func TestPartsDoNotOverlap(t *testing.T) {
	for _, n := range []uint64{1, 4096, 1 << 20, 12345678, 1 << 30, 24 << 30, 1 << 42} {
		g := layOut(n)
		at := uint64(headerBytes)
		part := func(what string, off, bytes, boundary uint64) {
			if off < at || off%boundary != 0 {
				t.Errorf("%d bytes: %s at %d, after %d", n, what, off, at)
			}
			at = off + bytes
		}
		part("directory", g.directory, wordBytes<<g.maxDepth, osPage)
		part("segments", g.segments, g.maxSegments*segmentBytes, osPage)
		part("pages", g.blocks, g.small*smallPage, smallPage)
		for _, c := range g.large {
			part("cells", c.base, c.count<<c.shift, smallPage)
		}
		if at != g.bytes || g.bytes>>3>>slotPlaceBits != 0 {
			t.Errorf("%d bytes: the parts end at %d of %d", n, at, g.bytes)
		}
	}
}

// TestClassesFit: the class of a size is the smallest that holds it, and wastes no more
// than an eighth.
func TestClassesFit(t *testing.T) {
	for n := uint64(1); n <= smallLimit; n++ {
		c := classOf(n)
		if size := classBytes(c); size < n || c > 0 && classBytes(c-1) >= n || n > fineLimit && size-n > n/8 || size%wordBytes != 0 {
			t.Fatalf("%d bytes are in class %d of %d", n, c, classBytes(c))
		}
	}
	if c := classOf(smallLimit); c != classes-1 {
		t.Errorf("the last class is %d of %d", c, classes)
	}
	longest := entryBytes(MaxKeyBytes<<keyShift | MaxValueBytes<<valueShift | flagsMore)
	if o := orderOf(longest); o >= largeOrders || longest > 1<<(largeShift+o) {
		t.Errorf("%d bytes are in cells of order %d", longest, o)
	}
	for n := uint64(smallLimit + 1); n <= longest; n += 4093 {
		if size := uint64(1) << (largeShift + orderOf(n)); size < n || orderOf(n) > 0 && size/2 >= n {
			t.Fatalf("%d bytes are in a cell of %d", n, size)
		}
	}
}
