package wire

import (
	"encoding/binary"
	"fmt"
)

// FrameHeaderBytes is the size of the length in front of a frame's body.
const FrameHeaderBytes = 4

// frameSize returns how many bytes the frame at the head of buf has, header
// included, or 0 if buf does not yet hold the header. A loop uses it to make room
// for the rest of a frame that is longer than its buffer.
func frameSize(buf []byte, maxBody int) (int, error) {
	if len(buf) < FrameHeaderBytes {
		return 0, nil
	}
	n := binary.BigEndian.Uint32(buf)
	if n == 0 {
		return 0, fmt.Errorf("%w: empty frame", ErrMalformed)
	}
	if uint64(n) > uint64(max(0, maxBody)) {
		return 0, fmt.Errorf("%w: %d bytes, at most %d", ErrFrameTooLarge, n, maxBody)
	}
	return FrameHeaderBytes + int(n), nil
}

// Next splits the first frame off a receive buffer: its body, and the bytes behind
// it. While the frame is incomplete, body is nil and rest is buf. Both alias buf.
//
//	for {
//		body, rest, err := wire.Next(buf, wire.MaxFrameBytes)
//		if err != nil { … close the connection … }
//		if body == nil { break } // receive more behind buf
//		… handle body …
//		buf = rest
//	}
func Next(buf []byte, maxBody int) (body, rest []byte, err error) {
	size, err := frameSize(buf, maxBody)
	if err != nil || size == 0 || len(buf) < size {
		return nil, buf, err
	}
	return buf[FrameHeaderBytes:size:size], buf[size:], nil
}

// beginFrame appends room for the length; endFrame fills it in. start is where the
// body begins.
func beginFrame(b []byte) (_ []byte, start int) {
	b = append(b, 0, 0, 0, 0)
	return b, len(b)
}

func endFrame(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start-FrameHeaderBytes:], uint32(len(b)-start))
	return b
}
