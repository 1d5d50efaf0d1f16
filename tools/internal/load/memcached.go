package load

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// memcached speaks the meta commands of the text protocol, answered in order. The
// server answers each of the old gets in a write of its own; to these it gathers its
// answers as others do, and costs less than half.
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
		b = append(b, "mg "...)
		b = append(b, key...)
		return append(b, " v\r\n"...), nil
	}
	value := s.nextValue()
	b = append(b, "ms "...)
	b = append(b, key...)
	b = append(b, ' ')
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
	case s.op.read && string(text) != "EN":
		if size, err = item(buf, text, size); err != nil || size == 0 {
			return a, err
		}
		a.found = true
	case !s.op.read && string(text) != "HD":
		return a, unexpected(buf, "HD")
	}
	a.size, a.session = size, c.asked.pop()
	return a, nil
}

// item returns the size of an item, the first line of which has a text and a size; 0
// if it is not there as a whole.
func item(buf, text []byte, head int) (size int, err error) {
	length, ok := bytes.CutPrefix(text, []byte("VA "))
	if !ok {
		return 0, unexpected(buf, "VA or EN")
	}
	n, ok := decimal(length, maxValueBytes)
	if !ok {
		return 0, unexpected(text, fmt.Sprintf("a length of at most %d", maxValueBytes))
	}
	return closed(buf, head+n)
}
