package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// ErrNone says that no port could be had.
var ErrNone = errors.New("loopback: no port is free")

// Ports from lowest to below highest are handed out. They are below those that Linux gives
// to whoever connects, or listens on port 0 (net.ipv4.ip_local_port_range, from 32768 on as
// it is shipped): such a port can be taken at any moment.
//
// A process hands out the ports of its own blocks: one belongs to whoever listens on the
// abstract Unix socket of its name, until that process ends. So a port that is bound later, or
// again, is not handed out by another process meanwhile.
const (
	lowest     = 20000
	highest    = 32768
	blockPorts = 256
	blocks     = (highest - lowest) / blockPorts
	// most is how many ports a process claims before it hands out the first ones again.
	most  = 4 * blockPorts
	tries = 2 * most // ports looked at for each address
)

// ports are those of the process, handed out round and round: none twice within any time that
// matters.
var ports struct {
	sync.Mutex
	order  []int
	next   int
	claims []net.Listener
}

// Addresses returns n different addresses, host:port, that nobody listens on.
func Addresses(n int) ([]string, error) {
	ports.Lock()
	defer ports.Unlock()
	var addresses []string
	for range n {
		address, err := free()
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}

// claim adds a block to the ports of the process. If other processes have all, it shares one
// of theirs rather than have none.
func claim() {
	order := rand.Perm(blocks)
	block := order[0]
	for _, b := range order {
		l, err := net.Listen("unix", fmt.Sprintf("@causalmesh-loopback-%d", b))
		if err == nil {
			ports.claims = append(ports.claims, l)
			block = b
			break
		}
		if b == order[len(order)-1] && len(ports.order) > 0 {
			return
		}
	}
	for _, port := range rand.Perm(blockPorts) {
		ports.order = append(ports.order, lowest+block*blockPorts+port)
	}
}

func free() (string, error) {
	var errs error
	for range tries {
		if ports.next == len(ports.order) && len(ports.order) < most {
			claim()
		}
		ports.next %= len(ports.order)
		address := fmt.Sprintf("127.0.0.1:%d", ports.order[ports.next])
		ports.next++
		l, err := net.Listen("tcp", address)
		if err == nil {
			return address, l.Close()
		}
		errs = err // they are alike
	}
	return "", fmt.Errorf("%w from %d to %d: %w", ErrNone, lowest, highest-1, errs)
}
