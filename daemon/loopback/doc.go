// Package loopback finds addresses for processes that tests and tools start on this
// machine.
//
// It holds nothing and may be used from any goroutine. It reserves nothing: another
// process may take an address before its user does, who then says so and ends.
package loopback
