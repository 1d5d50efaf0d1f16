// Package faultlog logs faults that recur, so that a database that is away, or a peer
// that is wrong so many times, does not fill the log.
//
// A Log may be used from any goroutine. It tells faults apart by their message alone
// and remembers each one: messages are constants, and details are attributes.
package faultlog
