package load

import (
	"bytes"
	"errors"
	"fmt"
	"net"
)

// clientName is what servers are told.
const clientName = "loadgen"

// codec speaks a system's protocol for the sessions of one driver, on all of its
// connections. An error of its methods means that the connection cannot be used any
// more; that a server refuses an operation is in the answer.
type codec interface {
	// greet makes sure that the server is what it should be, over a connection that
	// still blocks, and returns the size of the largest value that it takes.
	greet(nc net.Conn) (valueBytes int, err error)
	// enlist is told of each session, after all greetings.
	enlist(s *session)
	// request appends what s.conn has to send for s.op.
	request(b []byte, s *session) ([]byte, error)
	// reply reads the first reply in buf, which came on c.
	reply(c *conn, buf []byte) (answer, error)
}

// answer is what a reply says.
type answer struct {
	size    int      // of the reply in bytes; 0: it is not there as a whole
	session *session // that it concerns; nil: it changes nothing for any
	step    step
	found   bool  // what was read
	err     error // why the operation was not carried out, or not yet
}

// step says where a session's operation is after a reply.
type step uint8

const (
	stepEnded    step = iota
	stepPrepared      // it begins now; what was before is not counted
	stepAgain         // its request is to be made again, after a pause; err says why
)

// maxLineBytes bounds the lines of protocols that have lines.
const maxLineBytes = 4096

// errUnexpected is the start of errors that say what came.
var errUnexpected = errors.New("the server does not keep to the protocol")

// unexpected says what came in place of what was expected.
func unexpected(came []byte, expected string) error {
	const shown = 64
	if len(came) > shown {
		return fmt.Errorf("%w: %q… in place of %s", errUnexpected, came[:shown], expected)
	}
	return fmt.Errorf("%w: %q in place of %s", errUnexpected, came, expected)
}

// line returns the first line of buf without its end, and its size with it; 0 if it
// is not there as a whole.
func line(buf []byte) (text []byte, size int, err error) {
	i := bytes.IndexByte(buf[:min(len(buf), maxLineBytes)], '\n')
	switch {
	case i < 0 && len(buf) < maxLineBytes:
		return nil, 0, nil
	case i < 1 || buf[i-1] != '\r':
		return nil, 0, unexpected(buf, "a line that ends with CR LF")
	}
	return buf[:i-1], i + 1, nil
}

// decimal reads a length as servers write it: no sign, no leading zero, nothing
// above most.
func decimal(text []byte, most int) (n int, ok bool) {
	if len(text) == 0 || len(text) > 1 && text[0] == '0' {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = 10*n + int(c-'0'); n > most {
			return 0, false
		}
	}
	return n, true
}

// ask sends a line over a connection that blocks and returns the line that answers.
func ask(nc net.Conn, question string) (string, error) {
	if _, err := nc.Write([]byte(question + "\r\n")); err != nil {
		return "", err
	}
	var buf []byte
	var one [1]byte
	for {
		// A byte at a time: nothing behind the line is taken.
		if _, err := nc.Read(one[:]); err != nil {
			return "", fmt.Errorf("after %q: %w", buf, err)
		}
		buf = append(buf, one[0])
		text, size, err := line(buf)
		if size > 0 || err != nil {
			return string(text), err
		}
	}
}
