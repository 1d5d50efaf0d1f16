package daemon

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// resources is what a process holds for clients in shared memory.
type resources struct {
	files    int // open descriptors
	segments int // mappings of rings
	tables   int // mappings of tables
}

// resourcesOf counts what this process holds.
func resourcesOf(t testing.TB) resources {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return resources{
		files:    len(files),
		segments: strings.Count(string(maps), "/memfd:causalmesh "),
		tables:   strings.Count(string(maps), "/memfd:causalmesh-table "),
	}
}

// eventuallyLeft waits until no more is held than when r was counted. A client's mapping
// of a table goes with the last session that could read it.
func (r resources) eventuallyLeft(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		runtime.GC()
		now := resourcesOf(t)
		if now.files <= r.files && now.segments <= r.segments && now.tables <= r.tables {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("held %+v, before %+v\n%s", now, r, openFiles())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// openFiles lists what is open, for whoever looks for what was left behind.
func openFiles() string {
	var all strings.Builder
	files, _ := os.ReadDir("/proc/self/fd")
	for _, f := range files {
		name, _ := os.Readlink("/proc/self/fd/" + f.Name())
		fmt.Fprintln(&all, f.Name(), name)
	}
	return all.String()
}
