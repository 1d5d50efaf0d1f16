// Package looptest holds implementations of ring.Loop to what the interface promises,
// and measures them.
//
// Run is the conformance suite: an implementation's test calls it with its constructor,
// and everything in it goes over real sockets. Handler, Serve, Dial and the
// functions that wait are for the implementations' own tests too. They are to be called
// from the test's goroutine; Handler.Do runs a job where the loop may be asked.
//
// The package refuses to look inside an implementation.
package looptest
