package daemon

import (
	"encoding/json"

	"causalmesh/causal"
)

// Operations counts requests by causal.Op. Decoded requests have no other.
type Operations [causal.OpSync + 1]uint64

// Failures counts replies by causal.Code; those without an error are not counted.
type Failures [len(codeNames)]uint64

// codeNames are what people and metrics see. They are not to be changed.
var codeNames = [...]string{
	causal.CodeOverloaded:    "overloaded",
	causal.CodeFutureContext: "future-context",
	causal.CodeEpoch:         "epoch",
	causal.CodeTooLarge:      "too-large",
	causal.CodeUnavailable:   "unavailable",
	causal.CodeForged:        "forged",
	causal.CodeClock:         "clock",
	causal.CodeBadRequest:    "bad-request",
	causal.CodeNotReady:      "not-ready",
}

func operationName(i int) string { return causal.Op(i).String() }
func codeName(i int) string      { return codeNames[i] }

func (o *Operations) sum() (n uint64) {
	for _, m := range o {
		n += m
	}
	return n
}

// note counts a reply with an error.
func (f *Failures) note(c causal.Code) {
	if c != causal.CodeOK {
		f[c]++
	}
}

// MarshalJSON implements json.Marshaler: counts by name.
func (o Operations) MarshalJSON() ([]byte, error) { return byName(o[:], operationName) }

// UnmarshalJSON implements json.Unmarshaler.
func (o *Operations) UnmarshalJSON(b []byte) error { return fromNames(b, o[:], operationName) }

// MarshalJSON implements json.Marshaler: counts by name.
func (f Failures) MarshalJSON() ([]byte, error) { return byName(f[:], codeName) }

// UnmarshalJSON implements json.Unmarshaler.
func (f *Failures) UnmarshalJSON(b []byte) error { return fromNames(b, f[:], codeName) }

// byName writes counts as an object; the first, which counts nothing, is not in it.
func byName(counts []uint64, name func(int) string) ([]byte, error) {
	named := map[string]uint64{}
	for i := 1; i < len(counts); i++ {
		named[name(i)] = counts[i]
	}
	return json.Marshal(named)
}

// fromNames reads what byName has written. Names of a later version are passed over.
func fromNames(b []byte, counts []uint64, name func(int) string) error {
	var named map[string]uint64
	if err := json.Unmarshal(b, &named); err != nil {
		return err
	}
	for i := 1; i < len(counts); i++ {
		counts[i] = named[name(i)]
	}
	return nil
}
