package loopback

import (
	"errors"
	"net"
)

// Addresses returns n different addresses, host:port, that nobody listens on.
func Addresses(n int) (addresses []string, err error) {
	for range n {
		l, listenErr := net.Listen("tcp", "127.0.0.1:0")
		if listenErr != nil {
			return nil, errors.Join(err, listenErr)
		}
		// All stay open until the last is found, so that they differ.
		defer func() { err = errors.Join(err, l.Close()) }()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}
