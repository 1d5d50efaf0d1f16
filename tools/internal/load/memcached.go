package load

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// memcached speaks the text protocol: get and set, answered in order.
type memcached struct{ run *run }

func newMemcached(r *run) codec { return &memcached{r} }

func (*memcached) greet(nc net.Conn) (valueBytes int, err error) {
	got, err := ask(nc, "version")
	if err != nil {
		return 0, err
	}
	if !strings.HasPrefix(got, "VERSION ") {
		return 0, unexpected([]byte(got), "VERSION")
	}
	return maxValueBytes, nil // the server says what is too large for it
}

func (*memcached) enlist(*session) {}

func (m *memcached) request(b []byte, s *session) ([]byte, error) {
	s.conn.asked.push(s)
	key := m.run.keys.key(s.op.rank)
	if s.op.read {
		b = append(b, "get "...)
		b = append(b, key...)
		return append(b, "\r\n"...), nil
	}
	value := s.nextValue()
	b = append(b, "set "...)
	b = append(b, key...)
	b = append(b, " 0 0 "...)
	b = strconv.AppendInt(b, int64(len(value)), 10)
	b = append(b, "\r\n"...)
	b = append(b, value...)
	return append(b, "\r\n"...), nil
}

func (m *memcached) reply(c *conn, buf []byte) (a answer, err error) {
	text, size, err := line(buf)
	if size == 0 || err != nil {
		return a, err
	}
	s := c.asked.head()
	switch {
	case s == nil:
		return a, unexpected(buf, "silence: nothing was asked for")
	case bytes.HasPrefix(text, []byte("SERVER_ERROR")):
		a.err = fmt.Errorf("memcached: %s", text)
	case s.op.read:
		if string(text) != "END" {
			if size, err = m.item(buf, text, size, s.op.rank); err != nil || size == 0 {
				return a, err
			}
			a.found = true
		}
	case string(text) != "STORED":
		return a, unexpected(buf, "STORED")
	}
	a.size, a.session = size, c.asked.pop()
	return a, nil
}

// item returns the size of an item with what ends the reply, the first line of which
// has a text and a size; 0 if it is not there as a whole.
func (m *memcached) item(buf, text []byte, head, rank int) (size int, err error) {
	key := m.run.keys.key(rank)
	length, ok := bytes.CutPrefix(text, []byte("VALUE "+key+" 0 "))
	if !ok {
		return 0, unexpected(buf, "VALUE "+key+" 0 LENGTH")
	}
	n, ok := decimal(length, maxValueBytes)
	if !ok {
		return 0, unexpected(text, fmt.Sprintf("a length of at most %d", maxValueBytes))
	}
	if size, err = closed(buf, head+n); size == 0 || err != nil {
		return 0, err
	}
	end, more, err := line(buf[size:])
	switch {
	case more == 0 || err != nil:
		return 0, err
	case string(end) != "END":
		return 0, unexpected(buf[size:], "END")
	}
	return size + more, nil
}
