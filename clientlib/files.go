package clientlib

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"causalmesh/causal/wire"
	"causalmesh/ring/shm"
)

// files are what a server has sent along with its welcome.
type files []int

// maxFiles is how many a server may send: its rings and its table.
const maxFiles = 2

// read reads the answer to the hello, what came behind it, and the files with it.
func (f *files) read(nc net.Conn) (body, rest []byte, err error) {
	buf := make([]byte, 0, wire.FrameHeaderBytes+wire.MaxHandshakeBytes)
	for {
		n, err := f.receive(nc, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		body, rest, frameErr := wire.Next(buf, wire.MaxHandshakeBytes)
		switch {
		case errors.Is(err, ErrProtocol):
			return nil, nil, err
		case frameErr != nil:
			return nil, nil, protocolError(frameErr)
		case body != nil:
			return body, rest, nil
		case err != nil:
			return nil, nil, err
		}
	}
}

// receive reads bytes, and files where there can be some.
func (f *files) receive(nc net.Conn, b []byte) (int, error) {
	socket, ok := nc.(*net.UnixConn)
	if !ok {
		return nc.Read(b)
	}
	control := make([]byte, syscall.CmsgSpace(maxFiles*4))
	n, controls, flags, _, err := socket.ReadMsgUnix(b, control)
	if err != nil {
		return max(n, 0), err // it is -1 after some errors
	}
	messages, err := syscall.ParseSocketControlMessage(control[:controls])
	if err != nil {
		return n, protocolError(err)
	}
	for i := range messages {
		if got, err := syscall.ParseUnixRights(&messages[i]); err == nil {
			*f = append(*f, got...)
		}
	}
	if flags&syscall.MSG_CTRUNC != 0 || len(*f) > maxFiles {
		return n, fmt.Errorf("%w: more than %d files came, or this process may open no more", ErrProtocol, maxFiles)
	}
	return n, nil
}

// share makes a connection through shared memory of what the server has sent.
func (f *files) share(nc net.Conn, w *wire.Welcome, rest []byte, wantTable bool) (link, error) {
	want := 1
	if wantTable {
		want = 2
	}
	switch {
	case !w.Rings || w.Table != wantTable:
		return nil, fmt.Errorf("%w: the server is of a version without shared memory; connect to unix: in place of it", ErrRefused)
	case len(*f) != want || len(rest) > 0:
		return nil, fmt.Errorf("%w: %d files and %d bytes came with the welcome", ErrProtocol, len(*f), len(rest))
	}
	raw, err := nc.(syscall.Conn).SyscallConn() // files came over it: it is a socket
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	segment, err := shm.Attach((*f)[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	var v *view
	if wantTable {
		if v, err = openView((*f)[1], w); err != nil {
			_ = segment.Close()
			return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
		}
	}
	return newChannel(nc, raw, w, segment, v), nil
}

// close closes the files: what was mapped stays.
func (f *files) close() {
	for _, fd := range *f {
		_ = syscall.Close(fd)
	}
	*f = nil
}
