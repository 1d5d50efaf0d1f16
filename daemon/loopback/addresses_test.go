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

// Two processes have no port in common: a block has one owner.
func TestBlocksAreClaimed(t *testing.T) {
	addresses, err := Addresses(1)
	if err != nil {
		t.Fatal(err)
	}
	ports.Lock()
	defer ports.Unlock()
	if len(ports.claims) == 0 {
		t.Fatalf("%s is of no block of this process", addresses[0])
	}
	for _, l := range ports.claims {
		other, err := net.Listen("unix", l.Addr().String())
		if err == nil {
			_ = other.Close()
			t.Errorf("%s has a second owner", l.Addr())
		}
	}
}
