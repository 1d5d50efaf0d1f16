package table

import (
	"testing"

	"golang.org/x/sys/unix"
)

// memoryBytes asks the kernel how much memory is behind a descriptor, whoever took it.
func memoryBytes(t testing.TB, fd int) int {
	t.Helper()
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		t.Fatal(err)
	}
	return int(s.Blocks) * 512
}

func residentBytes(t testing.TB, table *Table) int { return memoryBytes(t, table.region.file) }
