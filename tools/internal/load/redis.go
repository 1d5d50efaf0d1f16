package load

import (
	"fmt"
	"net"
	"strconv"
)

// redis speaks RESP: GET and SET, answered in order.
type redis struct{ run *run }

func newRedis(r *run) codec { return &redis{r} }

func (*redis) greet(nc net.Conn) (valueBytes int, err error) {
	got, err := ask(nc, "PING")
	if err != nil {
		return 0, err
	}
	if got != "+PONG" {
		return 0, unexpected([]byte(got), "+PONG")
	}
	return maxValueBytes, nil // the server's limit is higher
}

func (*redis) enlist(*session) {}

func (r *redis) request(b []byte, s *session) ([]byte, error) {
	s.conn.asked.push(s)
	key := r.run.keys.key(s.op.rank)
	if s.op.read {
		b = append(b, "*2\r\n$3\r\nGET\r\n"...)
		return appendBulk(b, key), nil
	}
	b = append(b, "*3\r\n$3\r\nSET\r\n"...)
	b = appendBulk(b, key)
	return appendBulk(b, s.nextValue()), nil
}

func appendBulk[T string | []byte](b []byte, text T) []byte {
	b = append(b, '$')
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, "\r\n"...)
	b = append(b, text...)
	return append(b, "\r\n"...)
}

func (r *redis) reply(c *conn, buf []byte) (a answer, err error) {
	text, size, err := line(buf)
	if size == 0 || err != nil {
		return a, err
	}
	s := c.asked.head()
	switch {
	case s == nil:
		return a, unexpected(buf, "silence: nothing was asked for")
	case len(text) > 0 && text[0] == '-':
		a.err = fmt.Errorf("redis: %s", text[1:])
	case s.op.read && string(text) != "$-1":
		if size, err = bulk(buf, text, size); err != nil || size == 0 {
			return a, err
		}
		a.found = true
	case !s.op.read && string(text) != "+OK":
		return a, unexpected(buf, "+OK")
	}
	a.size, a.session = size, c.asked.pop()
	return a, nil
}

// bulk returns the size of the bulk string at the start of buf, whose first line has
// a text and a size.
func bulk(buf, text []byte, head int) (size int, err error) {
	if len(text) == 0 || text[0] != '$' {
		return 0, unexpected(buf, "a bulk string")
	}
	n, ok := decimal(text[1:], maxValueBytes)
	if !ok {
		return 0, unexpected(text, fmt.Sprintf("a length of at most %d", maxValueBytes))
	}
	return closed(buf, head+n)
}

// closed returns the size of buf's first n bytes and the end of line behind them, 0
// if they are not there as a whole.
func closed(buf []byte, n int) (size int, err error) {
	const end = "\r\n"
	if len(buf) < n+len(end) {
		return 0, nil
	}
	if string(buf[n:n+len(end)]) != end {
		return 0, unexpected(buf[n:], "the end of a value")
	}
	return n + len(end), nil
}
