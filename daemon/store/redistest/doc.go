// Package redistest starts a real redis-server for a test.
//
// The server listens on a loopback port and on a Unix socket, keeps its data in
// the test's temporary directory, and ends with the test. It can be paused,
// stopped and started again in between. The methods of a Server are for the
// test's own goroutine: they end the test when they fail.
//
// The package stands in for nothing: without redis-server the test is skipped,
// in one place, and the message says what to install.
package redistest
