package daemon

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"causalmesh/causal"
)

// TestManyLargeValuesAtOnce: 64 values of a megabyte, all asked for at once over one
// connection, at a node that has to ask their home. Some are refused for the moment;
// in the end all arrive, and neither the link nor the connection is lost for it.
func TestManyLargeValuesAtOnce(t *testing.T) {
	for _, scheme := range []string{"unix", "shm"} {
		t.Run(scheme, func(t *testing.T) { manyLargeValuesAtOnce(t, scheme) })
	}
}

func manyLargeValuesAtOnce(t *testing.T, scheme string) {
	const values = 64
	d := startDatabase(t)
	c := startCluster(t, 2, func(c *Config) { c.Store = d.SocketURL() })
	large := strings.Repeat("x", 1<<20)
	var keys []string
	for i := 0; len(keys) < values; i++ {
		if key := fmt.Sprint("large", i); causal.HomeOf([]byte(key), 2) == 1 {
			keys = append(keys, key)
			if err := d.other.Set(context.Background(), key, large, 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := c.status(1).Daemon.LinksEstablished
	ctx, cancel := context.WithTimeout(context.Background(), 2*within)
	defer cancel()
	client := c.dial(0, scheme)
	var wg sync.WaitGroup
	for _, key := range keys {
		wg.Go(func() {
			s := client.Session()
			for ctx.Err() == nil {
				if value, _, err := s.Read(ctx, key); err == nil {
					if len(value) != len(large) {
						t.Errorf("%s has %d bytes", key, len(value))
					}
					return
				}
				time.Sleep(10 * time.Millisecond) // not to wait for anything: a client's own back-off
			}
			t.Errorf("%s: %v", key, ctx.Err())
		})
	}
	wg.Wait()
	if s := c.status(0).Daemon; s.Unread != 0 || s.Welcomed != 1 {
		t.Errorf("the client was cut off: %+v", s)
	}
	if after := c.status(1).Daemon.LinksEstablished; after != before {
		t.Errorf("the home has lost its link to the asker: %d links, %d before", after, before)
	}
}
