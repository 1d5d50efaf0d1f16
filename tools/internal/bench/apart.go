package bench

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// twoProcessors are the first two that this process may use.
func twoProcessors() ([]int, error) {
	var may unix.CPUSet
	if err := unix.SchedGetaffinity(0, &may); err != nil {
		return nil, err
	}
	var all []int
	for i := 0; len(all) < 2; i++ {
		switch {
		case may.IsSet(i):
			all = append(all, i)
		case i >= len(may)*strconv.IntSize:
			return nil, fmt.Errorf("%w: a second processor: clients and nodes need one each", ErrMissing)
		}
	}
	return all, nil
}

// Whose processor it is, of a system's two.
const (
	ofNodes = iota
	ofLoadgen
)

// under is what a program of the system is run by, to have its processor: it becomes the
// program.
func (s *System) under(which int) ([]string, error) {
	if !s.Apart {
		return nil, nil
	}
	two, err := twoProcessors()
	if err != nil {
		return nil, err
	}
	return []string{"taskset", "-c", strconv.Itoa(two[which])}, nil
}
