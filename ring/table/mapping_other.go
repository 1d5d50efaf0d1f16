//go:build !linux

package table

import "errors"

// errUnavailable: clients build elsewhere, too, where there are no tables to map.
var errUnavailable = errors.New("table: works on Linux only: connect to unix: or tcp: in place of direct:, to a server that runs there")

func mapRegion(uint64) (region, error)   { return region{}, errUnavailable }
func mapShared(int) ([]byte, error)      { return nil, errUnavailable }
func unmap([]byte) error                 { return nil }
func machineBytes() (uint64, error)      { return 0, errUnavailable }
func (r *region) share() (int, error)    { return -1, ErrNotShared }
func (r *region) release(uint64, uint64) {}
func (r *region) close() error           { *r = region{}; return nil }
