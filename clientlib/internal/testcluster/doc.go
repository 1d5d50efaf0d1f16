// Package testcluster runs the cache servers of a ring in one process, for tests of
// the client library: the real state machines behind real Unix sockets and the real
// wire format, with direct calls in place of the links between servers.
//
// One mutex guards all servers, so a request and everything that follows from it
// round the ring is one step; Hold keeps the ring still, so that writes stay in
// flight for as long as a test needs. A Fault decides what becomes of each request.
// All methods may be called from any goroutine.
//
// It refuses to be more than that: there is no database, no memory bound, and a
// connection that does not read blocks its own goroutine only.
package testcluster
