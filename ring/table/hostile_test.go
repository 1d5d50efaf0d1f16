package table

import (
	"encoding/binary"
	"fmt"
	"math/rand"
	"testing"
	"unsafe"

	"causalmesh/causal"
)

// snapshot copies a table's region to memory that a test may spoil.
func snapshot(table *Table) []byte {
	words := make([]uint64, table.region.bytes/wordBytes)
	table.region.loadWords(words, 0)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), table.region.bytes)
}

// over returns a reader of bytes that somebody else wrote.
func over(b []byte) (*Reader, error) {
	h, err := readHeader(regionOf(b))
	return &Reader{header: h}, err
}

// smallTable is a table whose region is small enough to be copied, with entries of
// many forms.
func smallTable(t testing.TB) *Table {
	table := newTwin(t, 64<<10)
	rng := rand.New(rand.NewSource(6))
	for i := range 400 {
		table.Put(randomVersion(rng, fmt.Sprintf("k%d", i), rng.Intn(100)), causal.Complete)
	}
	table.Put(randomVersion(rng, "large", 40_000), causal.Complete)
	table.Publish(causal.SignedVector{Vector: causal.VectorClock{1, 2, 3}})
	return table
}

// TestHostileTableHarmsNoReader: whatever stands in the region, a reader comes back,
// and with nothing that lies outside of its own memory.
func TestHostileTableHarmsNoReader(t *testing.T) {
	table := smallTable(t)
	good := snapshot(table)
	bad := append([]byte(nil), good...)
	r, err := over(bad)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewSource(7))
	// Where it hurts: header, directory, segments and the pages that hold something.
	g := &table.geometry
	hurts := [][2]uint64{
		{0, headerBytes}, {g.directory, g.directory + 64}, {g.segments, g.segments + 4*segmentBytes},
		{g.blocks, g.blocks + uint64(len(table.blocks.pages))*smallPage},
		{g.large[0].base, g.large[0].base + 64},
	}
	var v causal.Version
	var s causal.SignedVector
	hits, rounds := 0, 3000
	if underRace {
		rounds = 300
	}
	for round := range rounds {
		for range 1 + rng.Intn(64) {
			part := hurts[rng.Intn(len(hurts))]
			at := part[0] + uint64(rng.Int63n(int64(part[1]-part[0])))&^7
			w := rng.Uint64()
			switch rng.Intn(4) {
			case 0:
				w = binary.NativeEndian.Uint64(bad[at:]) ^ 1<<rng.Intn(64)
			case 1: // lengths and places at the edge
				w |= 1<<slotTagShift - 1
			case 2:
				w = ^uint64(0) >> rng.Intn(64)
			}
			binary.NativeEndian.PutUint64(bad[at:], w)
		}
		r.Stability(&s)
		for i := range 100 {
			key := fmt.Appendf(nil, "k%d", (round+i)%400)
			if i == 0 {
				key = []byte("large")
			}
			if r.Slot(key, &v) {
				hits++
				_ = append([]byte(nil), v.Value...)
				if len(v.Value) > MaxValueBytes || string(v.Key) != string(key) {
					t.Fatalf("%s: got %d bytes for %s", key, len(v.Value), v.Key)
				}
			}
		}
		_, _ = over(bad)
		if round%10 == 9 {
			copy(bad, good)
		}
	}
	if hits == 0 {
		t.Error("nothing was read at all: the test shows nothing")
	}
}

// TestHeaderRefusesWhatIsNoTable: and says so.
func TestHeaderRefusesWhatIsNoTable(t *testing.T) {
	table := smallTable(t)
	good := snapshot(table)
	if _, err := over(good); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{8, headerBytes - 1, headerBytes, len(good) - 8, len(good) - osPage} {
		if _, err := over(good[:n]); err == nil {
			t.Errorf("opened the first %d bytes", n)
		}
	}
	for off, w := range map[int]uint64{
		offMagic: 1, offVersion: layoutVersion + 1, offBytes: 1 << 40,
		offDirectory: uint64(len(good)), offMaxDepth: 64, offSegments: 12345, offMaxSegments: 1 << 62,
		offBlocks: ^uint64(63),
	} {
		bad := append([]byte(nil), good...)
		binary.NativeEndian.PutUint64(bad[off:], w)
		if _, err := over(bad); err == nil {
			t.Errorf("opened a table with %d at %d of the header", w, off)
		}
	}
}

// TestReaderGivesUp: a writer that stopped in the middle of a change holds nobody.
func TestReaderGivesUp(t *testing.T) {
	table := smallTable(t)
	key := []byte("k1")
	slot, _ := table.find(table.hash(key), key)
	r := table.NewReader()
	var v causal.Version
	for _, off := range []uint64{slot &^ (bucketBytes - 1), offShape} {
		if table.Put(short(key, 1), causal.Complete); !r.Slot(key, &v) {
			t.Fatal("k1 cannot be read")
		}
		s := table.region.load(off)
		table.region.store(off, s+1)
		if r.Slot(key, &v) {
			t.Error("read in the middle of a change")
		}
		table.region.store(off, s+2)
	}
	table.region.store(offStableSequence, table.region.load(offStableSequence)+1)
	s := causal.SignedVector{Vector: causal.VectorClock{1}}
	if r.Stability(&s); len(s.Vector) != 0 {
		t.Error("read a vector in the middle of a change")
	}
}

// FuzzReader spoils a table at places of the fuzzer's choice.
func FuzzReader(f *testing.F) {
	table := smallTable(f)
	good := snapshot(table)
	bad := append([]byte(nil), good...)
	key := []byte("k1")
	slot, w := table.find(table.hash(key), key)
	for _, off := range []uint64{slot, slotPlace(w), slotPlace(w) + entrySmall, offDepth, offStableLength, table.geometry.directory} {
		f.Add(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, off), ^uint64(0)))
	}
	f.Fuzz(func(t *testing.T, spoil []byte) {
		var spoiled []uint64
		for ; len(spoil) >= 16 && len(spoiled) < 64; spoil = spoil[16:] {
			off := binary.LittleEndian.Uint64(spoil) % uint64(len(bad)) &^ 7
			copy(bad[off:off+8], spoil[8:])
			spoiled = append(spoiled, off)
		}
		defer func() {
			for _, off := range spoiled {
				copy(bad[off:off+8], good[off:])
			}
		}()
		r, err := over(bad)
		if err != nil {
			return
		}
		var s causal.SignedVector
		r.Stability(&s)
		for _, k := range []string{"k1", "k2", "large", ""} {
			var v causal.Version
			if r.Slot([]byte(k), &v) {
				_ = append([]byte(nil), v.Value...)
			}
		}
	})
}
