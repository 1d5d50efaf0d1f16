// Package clientlib is how functions use a causalmesh cluster: it gives each
// workflow a causally consistent view of shared keys while the workflow moves from
// machine to machine.
//
// # A workflow
//
// A workflow is a chain, or a graph, of functions. Each function talks to the cache
// server of the machine that it happens to run on. What the workflow has seen and
// written travels with it as a context, a short string of bytes:
//
//	client, err := clientlib.Dial(ctx, "unix:/run/causalmesh/node.sock") // once per process
//
//	// The first function.
//	session := client.Session()
//	err = session.Write(ctx, "review/17", text)
//	return session.Context() // goes to the next function, with its arguments
//
//	// The next function, on another machine, with the client there.
//	session, err := client.Resume(handedOver)
//	text, found, err := session.Read(ctx, "review/17") // found, and not an older text
//
// Functions that run in parallel each resume the same context; the function that
// comes after them resumes one of theirs and merges the others:
//
//	session, err := client.Resume(contexts[0])
//	err = session.Merge(contexts[1:]...)
//
// It then sees what any of them has seen or written. Several keys that belong
// together are read with ReadMany, which returns one consistent moment.
//
// # Shared memory
//
// On the server's machine, a target "shm:/path" in place of "unix:/path" passes requests
// and replies through memory that both share, and "direct:/path" reads what is cached from the
// server's own table, mapped for reading, without asking it. Nothing else changes: a read
// that the table does not cover, because the session knows more or the key is not cached, goes
// to the server. Who counts allocations uses Session.ReadInto and Session.ReadManyInto.
//
// A table stays mapped, also that of a server which is gone, until neither its client nor a
// session that has read from it is in use, and the collector has come by.
//
// # What is guaranteed
//
// A read of a key returns a version at least as high, in the one order of all
// writes, as every version in the session's causal past: what the session has
// written and read, and what the writers of that had written and read before. When
// writes stop, all servers return the same value for every key. There is no
// guarantee about what other workflows are doing at the same time beyond that: of
// two concurrent writes of a key one wins, and there are no locks.
//
// # Failures
//
// Errors are typed: see the variables of this package, and errors.Is. An operation
// that fails leaves the session's context as it was. When a connection is lost,
// reads and syncs are repeated on a new one until their context ends; a write is
// repeated only where the server recognises the repetition, and otherwise ends with
// ErrUnknownOutcome (see Session.Retry). A server that is not ready is asked again
// until the context ends. An overloaded server is reported at once, with
// ErrOverloaded: the caller knows better than this package whether to wait.
//
// Every operation ends when its context does. Without a deadline in the context, it
// ends after the client's timeout (WithTimeout).
//
// # Ownership and threading
//
// A Client is safe for concurrent use, and one per process and server is enough:
// requests of all sessions are pipelined over its connection. It has two goroutines
// per connection, three for "direct:", which end with Close. A Session is for one goroutine at a time
// and finds out if it is not (ErrBusy). Values, contexts and items that are returned
// belong to the caller; what is passed in is copied.
//
// # What it refuses
//
// It does not cache, encrypt, or choose servers, and it never answers from the
// session's own writes without asking the server. It trusts no byte of the server's:
// what breaks the protocol ends the connection with ErrProtocol.
package clientlib
