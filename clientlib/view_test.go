//go:build linux

package clientlib

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/ring/table"
)

// A server that misses its heartbeats is not read, and is again when it beats.
func TestWatch(t *testing.T) {
	tab, err := table.New(table.Options{Bytes: 1 << 20, Epoch: testWelcome.Epoch})
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	fd, err := tab.Share()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	v, err := openView(fd, &testWelcome)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		lost, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			v.watch(lost)
		}()
		var beat uint64
		pulse := func(beats, live bool) {
			t.Helper()
			if beats {
				beat++
				tab.Beat(beat)
			}
			time.Sleep(pulseEvery)
			synctest.Wait()
			if v.live() != live {
				t.Errorf("after %d beats: live %v, want %v", beat, v.live(), live)
			}
		}
		for range 2 {
			for range 2 * pulsesMissed {
				pulse(true, true)
			}
			for range pulsesMissed - 1 {
				pulse(false, true)
			}
			for range pulsesMissed {
				pulse(false, false)
			}
		}
		close(lost)
		<-ended
	})
}
