package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"causalmesh/causal"
	"causalmesh/causal/wire"
)

// greeted has a fake server greet as a system does, and then do as it is told.
func greeted(system string, then func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		var hello [512]byte
		n, err := c.Read(hello[:])
		if err != nil || n == 0 {
			return
		}
		switch system {
		case "redis":
			_, err = c.Write([]byte("+PONG\r\n"))
		case "memcached":
			_, err = c.Write([]byte("VERSION 1.6\r\n"))
		case "causalmesh":
			var b []byte
			b, err = wire.AppendHandshake(nil, &wire.Welcome{RingSize: 1, Epoch: 1, Limits: wire.ClientLimitsOf(causal.DefaultLimits)})
			if err == nil {
				_, err = c.Write(b)
			}
		}
		if err == nil {
			then(c)
		}
	}
}

// say answers the first bytes that come with other bytes, and closes.
func say(text string) func(net.Conn) {
	return func(c net.Conn) {
		var request [4096]byte
		if _, err := c.Read(request[:]); err == nil {
			_, _ = c.Write([]byte(text))
		}
	}
}

func TestHostileServers(t *testing.T) {
	for _, c := range []struct {
		system string
		then   func(net.Conn)
		want   string
	}{
		{"redis", say("$5\r\nab"), `in the middle of a reply`},
		{"redis", say("$5\r\nab"), `"$5\r\nab"`},
		{"redis", say("HTTP/1.1 400 Bad Request\r\n"), `"HTTP/1.1 400 Bad Request\r\n"`},
		{"redis", say("$-1\r\n$-1\r\n$-1\r\n"), "nothing was asked for"},
		{"redis", say(""), "the server closed the connection"},
		{"redis", say("$99999999999\r\n"), "in place of a length"},
		{"memcached", say("VA 5\r\nab"), "in the middle of a reply"},
		{"memcached", say("ERROR\r\n"), `"ERROR\r\n"`},
		{"causalmesh", say("\x00\x00\x00\x20half"), "in the middle of a reply"},
		{"causalmesh", say("+OK\r\n"), `"+OK\r\n"`},
		{"causalmesh", say("\x00\x00\x00\x02\x91\x11"), "protocol"},
	} {
		target := c.system + ":unix:" + fakeServer(t, greeted(c.system, c.then))
		o := newLoad(t, "--target", target, "--read-ratio", "1")
		r, err := Run(t.Context(), o, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), target) {
			t.Errorf("%s: %+v, %v; want %q", c.system, r, err, c.want)
		}
	}
}

// TestHostileGreetings: what is no server of the system is told apart at once.
func TestHostileGreetings(t *testing.T) {
	for _, c := range []struct{ system, says, want string }{
		{"redis", "-NOAUTH Authentication required.\r\n", "NOAUTH"},
		{"redis", "\xff\xff\xff\xff\n", "CR LF"},
		{"redis", "", "check that the server runs"},
		{"memcached", "-ERR unknown command\r\n", "in place of VERSION"},
		{"memcached", strings.Repeat("x", maxLineBytes), "CR LF"},
		{"causalmesh", "-ERR unknown command\r\n", "keep to the protocol"},
		{"causalmesh", "\x00\x00\x00\x03\x91\x01\x00", "keep to the protocol"},
		{"causalmesh", "\x00\x00\x00\x08half", "handshake: EOF"},
	} {
		target := c.system + ":unix:" + fakeServer(t, say(c.says))
		_, err := Run(t.Context(), newLoad(t, "--target", target), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "connect to "+target) {
			t.Errorf("%s says %.40q: %v, want %q", c.system, c.says, err, c.want)
		}
	}
	refused, err := wire.AppendHandshake(nil, &wire.Refusal{Code: wire.RefusedNotReady})
	if err != nil {
		t.Fatal(err)
	}
	target := "causalmesh:unix:" + fakeServer(t, say(string(refused)))
	if _, err := Run(t.Context(), newLoad(t, "--target", target), nil); err == nil || !strings.Contains(err.Error(), "not ready") {
		t.Errorf("%v", err)
	}
}

// silent keeps a connection open and says nothing, until the other side closes.
func silent(c net.Conn) {
	var b [4096]byte
	for {
		if _, err := c.Read(b[:]); err != nil {
			return
		}
	}
}

// TestNoReply: a server that says nothing ends the load after the timeout. Until it has
// greeted the timeout is long.
func TestNoReply(t *testing.T) {
	for _, system := range []string{"redis", "memcached", "causalmesh"} {
		target := system + ":unix:" + fakeServer(t, greeted(system, silent))
		r := newRun(newLoad(t, "--target", target, "--read-ratio", "1"))
		defer r.engine.close()
		if err := r.begin(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		r.o.Timeout = time.Millisecond
		_, err := r.measure(t.Context(), &meter{}, nil)
		if err == nil || !strings.Contains(err.Error(), "no reply to a read of k0000000") {
			t.Errorf("%s: %v", system, err)
		}
	}
}

// TestNoGreeting: the timeout and the end of the context both end the wait for a greeting.
func TestNoGreeting(t *testing.T) {
	for _, system := range []string{"redis", "memcached", "causalmesh"} {
		for name, timeout := range map[string]string{"timeout": "10ms", "end of context": "1h"} {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			target := system + ":unix:" + fakeServer(t, func(c net.Conn) {
				var hello [512]byte
				if _, err := c.Read(hello[:]); err == nil && timeout == "1h" {
					cancel()
				}
				silent(c)
			})
			_, err := Run(ctx, newLoad(t, "--target", target, "--timeout", timeout), nil)
			var late net.Error
			if !errors.As(err, &late) || !late.Timeout() || !strings.Contains(err.Error(), "connect to "+target) {
				t.Errorf("%s, %s: %v", system, name, err)
			}
		}
	}
}

// redisThat answers everything with "absent" or "OK", once before has returned for the nth
// request, from 0.
func redisThat(before func(n int)) func(net.Conn) {
	return greeted("redis", func(c net.Conn) {
		in := bufio.NewReader(c)
		for n := 0; ; n++ {
			var parts int
			if _, err := fmt.Fscanf(in, "*%d\r\n", &parts); err != nil {
				return
			}
			for range 2 * parts {
				if _, err := in.ReadString('\n'); err != nil {
					return
				}
			}
			before(n)
			reply := "$-1\r\n"
			if parts == 3 {
				reply = "+OK\r\n"
			}
			if _, err := c.Write([]byte(reply)); err != nil {
				return
			}
		}
	})
}

// TestRawCoordinatedOmission: latencies of an open loop have the wait for a stall in
// them, over real sockets, too. The server stalls once, and the load ends with the last of
// those operations that were due within the first half of the stall: however busy the
// machine is, each of them has waited for the other half.
func TestRawCoordinatedOmission(t *testing.T) {
	const (
		rate     = 2000
		stall    = 100 * time.Millisecond
		stallsAt = 20
	)
	schedule := func() *arrivals { return newArrivals(rate, rand.New(rand.NewPCG(defaults().Seed, 1))) }
	a := schedule()
	for range stallsAt {
		a.take()
	}
	last := stallsAt
	for until := a.take() + stall/2; a.due() <= until; a.take() {
		last++
	}
	if waited := last - stallsAt; waited <= 2*stallsAt {
		t.Fatalf("only %d operations wait", waited)
	}
	ends, ended := make(chan struct{}), make(chan struct{})
	target := "redis:unix:" + fakeServer(t, redisThat(func(n int) {
		switch n {
		case stallsAt:
			time.Sleep(stall)
		case last:
			close(ends)
			<-ended
		}
	}))
	r := newRun(newLoad(t, "--target", target, "--rate", strconv.Itoa(rate)))
	defer r.engine.close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.begin(ctx, nil); err != nil {
		t.Fatal(err)
	}
	go func() {
		select {
		case <-ends:
		case <-ctx.Done():
		}
		cancel()
		<-r.stopped
		close(ended)
	}()
	report, err := r.measure(ctx, &meter{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Ops != int64(last+1) || report.Ops+report.Unserved != schedule().leave(r.end()) {
		t.Errorf("%d operations and %d unserved, want %d operations, and all that were due: %+v", report.Ops, report.Unserved, last+1, report)
	}
	// More than half of the operations are those that waited.
	if report.Latency.P50 < int64(stall/2)*99/100 || report.Latency.Max < int64(stall)*99/100 || report.Lag == nil {
		t.Errorf("%+v", report)
	}
}

// TestRawErrors: an operation that is refused is an error, and the load goes on.
func TestRawErrors(t *testing.T) {
	target := "redis:unix:" + fakeServer(t, greeted("redis", func(c net.Conn) {
		var b [4096]byte
		for n := 0; ; n++ {
			if _, err := c.Read(b[:]); err != nil {
				return
			}
			reply := "+OK\r\n"
			if n%2 == 1 {
				reply = "-OOM for a test\r\n"
			}
			if _, err := c.Write([]byte(reply)); err != nil {
				return
			}
		}
	}))
	r := mustLoad(t, newLoad(t, "--target", target, "--read-ratio", "0"), func(c counts) bool { return c.errors >= 10 })
	if r.Ops-r.Errors > 1 || r.Errors > r.Ops || r.FirstError != "redis: OOM for a test" {
		t.Errorf("%+v", r)
	}
	_, err := Run(t.Context(), newLoad(t, "--target", target, "--preload"), nil)
	if err == nil || !strings.HasPrefix(err.Error(), "preload: ") || !strings.HasSuffix(err.Error(), "redis: OOM for a test") {
		t.Errorf("a preload that cannot be complete: %v", err)
	}
}

// TestNobodyListens says which target it was.
func TestNobodyListens(t *testing.T) {
	_, err := Run(t.Context(), newLoad(t, "--target", "redis:unix:/no/such/socket"), nil)
	if err == nil || errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "connect to redis:unix:/no/such/socket") {
		t.Errorf("%v", err)
	}
}
