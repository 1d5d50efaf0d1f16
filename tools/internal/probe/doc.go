// Package probe is what meshctl does with probes in the kernel (package bpf): it asks
// nodes who they are, attaches to and detaches from them, and writes what was measured as
// tables or JSON.
//
// It holds nothing between calls and may be used from any goroutine. It refuses nodes that
// it could not tell the truth about: those without io_uring, and figures of another life
// of the daemon than the one that answers.
package probe
