// Package netcut is a TCP proxy for tests that can cut the links that run through
// it, and let them hang half-open, which the kernel's loopback never does by
// itself.
//
// A Proxy may be used from any goroutine; each connection has two goroutines of its
// own, one per direction. It looks at no bytes and delays none of its own accord.
package netcut
