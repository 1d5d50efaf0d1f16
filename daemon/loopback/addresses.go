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
const (
	lowest  = 20000
	highest = 32768
	tries   = 1000 // ports looked at for each address
)

// ports are handed out in an order of each process's own, round and round: none twice
// within any time that matters.
var ports struct {
	sync.Mutex
	order []int
	next  int
}

// Addresses returns n different addresses, host:port, that nobody listens on.
func Addresses(n int) ([]string, error) {
	ports.Lock()
	defer ports.Unlock()
	if ports.order == nil {
		ports.order = rand.Perm(highest - lowest)
	}
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

func free() (string, error) {
	var errs error
	for range tries {
		address := fmt.Sprintf("127.0.0.1:%d", lowest+ports.order[ports.next])
		ports.next = (ports.next + 1) % len(ports.order)
		l, err := net.Listen("tcp", address)
		if err == nil {
			return address, l.Close()
		}
		errs = err // they are alike
	}
	return "", fmt.Errorf("%w from %d to %d: %w", ErrNone, lowest, highest-1, errs)
}
