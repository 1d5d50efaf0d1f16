//go:build amd64 || arm64

package table

import "unsafe"

// prefetch has the processor fetch a cache line and does not wait for it. It never
// faults. A load would do the same, but nothing behind it is done with before it has
// come, and a processor has room for a few hundred instructions that are not: those of
// about one request.
//
//go:noescape
func prefetch(p unsafe.Pointer)
