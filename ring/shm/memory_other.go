//go:build !linux

package shm

import "time"

func createFile(int) (int, error)      { return -1, ErrUnavailable }
func checkFile(int) (int, error)       { return 0, ErrUnavailable }
func closeFile(int) error              { return nil }
func mapFile(int, int) (memory, error) { return memory{}, ErrUnavailable }
func (m *memory) unmap() error         { *m = memory{}; return nil }

// monotonic has no counterpart in other processes, which there are none of.
func monotonic() int64 { return int64(time.Since(began)) }
