//go:build invariants

package causal

// invariants says whether every step checks what must always hold.
const invariants = true
