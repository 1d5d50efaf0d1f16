// Package table keeps the visible state of a cache server, its C-cache and stability
// vector, off the Go heap in one region of memory that others may read at any time.
package table
