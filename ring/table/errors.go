package table

import "errors"

var (
	// ErrAddressSpace: the table reserves some twenty times its bytes of address space.
	ErrAddressSpace = errors.New("table: no address space: set the table's bytes lower, or no limit on virtual memory (ulimit -v) and on the size of files (ulimit -f)")
	// ErrLayout: what was given to Attach is not a table of this program's.
	ErrLayout = errors.New("table: not a table of this layout: use the client library that belongs to the daemon")
	// ErrNotSealed: what was given to Attach may be cut short while it is read, which
	// kills the reader.
	ErrNotSealed = errors.New("table: not memory of a fixed size: attach to a descriptor that came from Share")
	// ErrNotShared: Share could not make a descriptor that can only be read through.
	ErrNotShared = errors.New("table: cannot be shared")
)
