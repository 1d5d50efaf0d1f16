package loopback

import (
	"net"
	"testing"
)

func TestAddresses(t *testing.T) {
	const n = 20
	var addresses []string
	for range 2 { // nor from one call to the next
		some, err := Addresses(n)
		if err != nil || len(some) != n {
			t.Fatalf("%v, %v; want %d addresses", some, err, n)
		}
		addresses = append(addresses, some...)
	}
	seen := map[string]bool{}
	for _, a := range addresses {
		if seen[a] {
			t.Errorf("%s is there twice", a)
		}
		seen[a] = true
		l, err := net.Listen("tcp", a)
		if err != nil {
			t.Errorf("%s is not free: %v", a, err)
			continue
		}
		_ = l.Close()
	}
}
