// Package socket is what the loops do alike with sockets, whichever way they move
// the bytes: it binds listeners, dials, tells the kernel when a peer is dead, says who
// the other end is, and holds the limits and errors that the loops share.
//
// Its functions may be called from any goroutine; it keeps no state and owns no socket
// once it has returned one. It refuses to read or write.
package socket
