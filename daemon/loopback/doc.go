// Package loopback finds addresses for processes that tests and tools start on this
// machine.
//
// It may be used from any goroutine. It reserves nothing: another process may take an
// address before its user does, who then says so and ends. That takes one that has chosen
// the same port, at random, at the same moment.
package loopback
