// Package child runs another program for as long as this one lives: for tests and
// tools that need real processes and must leave none behind.
//
// The kernel ends the child when its parent dies in any way, and a child is in a
// process group of its own, so that Ctrl-C at a terminal reaches the parent alone,
// which then ends its children in order. Children are signalled by their own pid and
// nothing else.
//
// A Process may be used from any goroutine. The package restarts nothing and reads
// none of the child's output: that goes to the files that the caller gives.
package child
