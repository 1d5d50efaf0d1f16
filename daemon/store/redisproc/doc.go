// Package redisproc starts and ends a real redis-server, for tests and tools that
// need one of their own.
//
// The server listens on a loopback port and on a Unix socket and keeps its data in a
// directory of the caller's. It can be paused, stopped and started again with that
// data, and ends with its parent.
//
// A Server is for one goroutine at a time. The package stands in for nothing:
// without redis-server, Start fails with ErrMissing, which says what to install.
package redisproc
