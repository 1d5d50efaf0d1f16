//go:build !invariants

package table

// invariants says whether Reuse checks, now and then, what must always hold.
const invariants = false
