package netcut

import (
	"fmt"
	"net"
	"sync"
)

// Direction is a way through the proxy; directions can be joined with |.
type Direction uint8

// The two ways, and both.
const (
	ToTarget Direction = 1 << iota
	FromTarget
	Both = ToTarget | FromTarget
)

// Proxy forwards connections to a target.
type Proxy struct {
	listener net.Listener
	routines sync.WaitGroup

	mu     sync.Mutex
	change sync.Cond // of frozen or closed
	target string
	cut    bool
	frozen Direction
	closed bool
	conns  map[net.Conn]struct{} // both ends of all
	held   int                   // pumps that hold something back
}

// Listen starts a proxy on a loopback port. Without a target it is cut.
func Listen(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("netcut: %w", err)
	}
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	p.change.L = &p.mu
	p.routines.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetTarget says where new connections go.
func (p *Proxy) SetTarget(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = address
}

// Cut breaks all connections, and new ones as soon as they are made.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.breakAll()
}

// Freeze holds back everything in a direction, the end of a connection too, while
// the connections stay open: the other side can tell only by the silence.
func (p *Proxy) Freeze(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen |= d
}

// Restore ends Cut and Freeze. What was held back goes on its way.
func (p *Proxy) Restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.frozen = false, 0
	p.change.Broadcast()
}

// Connections is how many connections are open on the near side.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return (len(p.conns) + 1) / 2
}

// Close ends the proxy and all connections.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.change.Broadcast()
	p.breakAll()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.routines.Wait()
}

// breakAll closes what is open; it is called under mu.
func (p *Proxy) breakAll() {
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		if !p.keep(near) {
			_ = near.Close()
			continue
		}
		p.routines.Go(func() { p.connect(near) })
	}
}

// keep registers a connection, unless there are to be none.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut || p.closed || p.target == "" {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) connect(near net.Conn) {
	defer p.drop(near)
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer p.drop(far)
	if !p.keep(far) {
		return
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { p.pump(near, far, ToTarget) })
	pumps.Go(func() { p.pump(far, near, FromTarget) })
	pumps.Wait()
}

// pump copies one direction until it ends, and then ends it on the other side.
func (p *Proxy) pump(from, to net.Conn, d Direction) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if !p.pass(d) {
			return
		}
		if n > 0 {
			if _, werr := to.Write(buffer[:n]); werr != nil {
				err = werr
			}
		}
		if err != nil {
			_ = from.Close()
			_ = to.Close()
			return
		}
	}
}

// pass waits while the direction is frozen; false means that all is over.
func (p *Proxy) pass(d Direction) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held++
	for p.frozen&d != 0 && !p.closed {
		p.change.Wait()
	}
	p.held--
	return !p.closed
}
