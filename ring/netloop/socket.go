package netloop

import (
	"net"
	"syscall"
	"time"

	"causalmesh/ring"
)

// minDeadPeerTimeout is how long a TCP peer may be silent to the kernel's probes
// before it counts as dead.
const minDeadPeerTimeout = 20 * time.Second

// deadPeerTimeout is well above StallTimeout, because the kernel's timer also
// runs for a live peer that does not read; that one is to be called stalled.
func (l *Loop) deadPeerTimeout() time.Duration {
	return max(minDeadPeerTimeout, 2*l.opts.StallTimeout)
}

// keepAlive finds dead peers of idle connections within deadPeerTimeout.
func (l *Loop) keepAlive() net.KeepAliveConfig {
	const probes = 3
	timeout := l.deadPeerTimeout()
	return net.KeepAliveConfig{
		Enable:   true,
		Idle:     timeout / 2,
		Interval: timeout / 2 / probes,
		Count:    probes,
	}
}

// tuneSocket bounds how long sent bytes may stay unacknowledged: keep-alive
// probes are not sent while there are any.
func tuneSocket(nc net.Conn, raw syscall.RawConn, deadPeer time.Duration) error {
	if _, tcp := nc.(*net.TCPConn); !tcp {
		return nil
	}
	return setUserTimeout(raw, deadPeer)
}

// peerOf says what is known of the other end.
func peerOf(nc net.Conn, raw syscall.RawConn) ring.Peer {
	p := ring.Peer{Addr: nc.RemoteAddr().String(), UID: -1, PID: -1}
	if _, local := nc.(*net.UnixConn); local {
		p.UID, p.PID = credentials(raw)
	}
	return p
}
