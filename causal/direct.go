package causal

import "causalmesh/causal/internal/defect"

// View is a table as a reader beside the writer sees it. Each call is one
// moment; the table may change between two.
type View interface {
	// Stability copies the published S, with its tag, to into.
	Stability(into *SignedVector)
	// Slot copies what the table holds for key; false if it holds nothing, an
	// incomplete version, or could not be read in one piece: v then means nothing. The slices of v are valid
	// until the next call of Stability.
	Slot(key []byte, v *Version) bool
}

// DirectRead reads keys beside the writer, without a request: the same result as
// a read transaction at the server, or none. It is a sequence of steps, so that a
// simulator can run the writer between any two.
//
// S is loaded first and every value after it. The writer puts values before it
// publishes the S that covers them, so each slot holds at least what S covers of
// its key. A value whose dot S covers is therefore exactly the key's highest
// version below S, and all of them together are the snapshot S. A value that S
// does not cover yet is too new: the reader starts again with a newer S. No slot
// has to be looked at twice.
type DirectRead struct {
	// Known is the context's vector: all of it must be covered.
	Known []SignedVector
	// Epoch is the table's, not the context's, which may have none yet.
	Epoch Epoch
	Keys  [][]byte
	// Tries is how often to start before the daemon is asked.
	Tries int
	// Defects is for the simulator.
	Defects defect.Set

	// Stability and Versions are the result: the S to absorb, and no other.
	Stability SignedVector
	Versions  []Version
	loaded    bool // S, in this try
}

// Begin makes r ready to read again, in the memory of the last time.
func (r *DirectRead) Begin() { r.loaded, r.Versions = false, r.Versions[:0] }

// DirectOutcome is what a step of a DirectRead came to.
type DirectOutcome uint8

// The outcomes.
const (
	DirectAgain    DirectOutcome = iota // take another step
	DirectDone                          // Versions and Stability hold
	DirectFallback                      // ask the daemon, with the whole call
)

// Step does one access to the table. Model: DirectLoadS, DirectReadSlot.
func (r *DirectRead) Step(view View) DirectOutcome {
	if !r.loaded {
		view.Stability(&r.Stability)
		r.loaded, r.Versions = true, r.Versions[:0]
		for _, k := range r.Known {
			if !k.Vector.AtMost(r.Stability.Vector) {
				return DirectFallback // only the daemon can adopt it
			}
		}
		return DirectAgain
	}
	if len(r.Versions) == len(r.Keys) { // only the defect AbsorbLater comes here
		view.Stability(&r.Stability)
		return DirectDone
	}
	n := len(r.Versions)
	if n == cap(r.Versions) {
		r.Versions = append(r.Versions, Version{})
	} else {
		r.Versions = r.Versions[:n+1]
	}
	v := &r.Versions[n]
	// A deadline needs the daemon's hybrid clock.
	if !view.Slot(r.Keys[n], v) || v.Deadline != 0 {
		r.Versions = r.Versions[:n]
		return DirectFallback
	}
	if v.Epoch == r.Epoch && !r.Stability.Vector.Covers(v.Dot) && !r.Defects.Has(defect.UncheckedDot) {
		r.Versions = r.Versions[:n]
		if r.Tries--; r.Tries <= 0 {
			return DirectFallback
		}
		r.loaded = false
		return DirectAgain
	}
	v.Key = r.Keys[n]
	if v.Tombstone {
		v.Value = nil
	}
	if n+1 < len(r.Keys) || r.Defects.Has(defect.AbsorbLater) {
		return DirectAgain
	}
	return DirectDone
}
