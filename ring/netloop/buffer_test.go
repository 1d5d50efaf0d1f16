package netloop

import (
	"testing"

	"golang.org/x/sys/unix"

	"causalmesh/ring"
)

// One read is bounded also where the buffer has more room.
func TestReadChunk(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if n, err := unix.Write(pair[0], make([]byte, readChunk+1000)); n != readChunk+1000 {
		t.Fatal(n, err)
	}
	c := &conn{in: newBuffer(keepBuffer)}
	if done := c.readFD(uintptr(pair[1])); !done || c.fresh != readChunk {
		t.Errorf("read %d bytes, %v; want %d", c.fresh, done, readChunk)
	}
}

// One big frame does not leave a big buffer behind.
func TestBuffersAreGivenBack(t *testing.T) {
	c := &conn{loop: New(ring.Options{})}
	c.in = newBuffer(8 << 20)
	c.in.Bytes = c.in.Bytes[:8<<20]
	c.start = len(c.in.Bytes) - 10
	copy(c.in.Bytes[c.start:], "0123456789")
	c.makeRoom()
	if got := string(c.in.Bytes[c.start:]); got != "0123456789" || cap(c.in.Bytes) > keepBuffer {
		t.Errorf("%q in a buffer of %d bytes; want the unused bytes in one of at most %d", got, cap(c.in.Bytes), keepBuffer)
	}
	for range 100 {
		putBuffer(newBuffer(8 << 20))
	}
	for range 200 {
		if b := getBuffer(); cap(b.Bytes) > keepBuffer || len(b.Bytes) != 0 {
			t.Fatalf("the pool gave a buffer of %d bytes, %d of them in use", cap(b.Bytes), len(b.Bytes))
		}
	}
}
