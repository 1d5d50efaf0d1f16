// Package loopback finds addresses for processes that tests and tools start on this
// machine.
//
// It may be used from any goroutine. Processes that use the package at the same time get
// different ports. It reserves them from nobody else: another program may take an address
// before the caller does, whose attempt to listen then fails.
package loopback
