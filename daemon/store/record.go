package store

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"causalmesh/causal"
)

// The keys of the store's own. doc.go describes what they hold.
const (
	// ReservedPrefix begins no key of a user.
	ReservedPrefix = "causalmesh:"

	metaPrefix = ReservedPrefix + "v:"
	fenceKey   = ReservedPrefix + "epoch"
)

// The widths of the fixed-width texts, in hexadecimal digits.
const (
	wordDigits  = 16
	stampDigits = wordDigits + 2
)

// maxTime is the highest time that is read back: causal.Time counts as signed
// where two are subtracted.
const maxTime = math.MaxInt64

// CheckKey returns ErrReservedKey if the key is one that the store keeps for
// itself. Such a key must be refused at the door: loads and flushes of it fail.
func CheckKey(key []byte) error {
	if bytes.HasPrefix(key, []byte(ReservedPrefix)) {
		return ErrReservedKey
	}
	return nil
}

func encodeWord(w uint64) string { return fmt.Sprintf("%0*x", wordDigits, w) }

func encodeStamp(s causal.Stamp) string {
	return fmt.Sprintf("%0*x%02x", wordDigits, uint64(s.Time), uint8(s.Origin))
}

func encodeDot(d causal.Dot) string {
	return fmt.Sprintf("%d.%d.%d", d.Origin, d.Incarnation, d.Counter)
}

func encodeDeadline(t causal.Time) string {
	if t == 0 {
		return ""
	}
	return encodeWord(uint64(t))
}

// digest is what the scripts call content: it stands for a value, or for none.
func digest(v *causal.Version) string {
	if v.Tombstone {
		return ""
	}
	sum := sha1.Sum(v.Value)
	return hex.EncodeToString(sum[:])
}

func decodeWord(text string) (uint64, error) {
	if len(text) != wordDigits || strings.Trim(text, "0123456789abcdef") != "" {
		return 0, fmt.Errorf("%w: %.32q is not %d hexadecimal digits", ErrMalformed, text, wordDigits)
	}
	return strconv.ParseUint(text, 16, 64)
}

func decodeTime(text string) (causal.Time, error) {
	w, err := decodeWord(text)
	if err == nil && w > maxTime {
		err = fmt.Errorf("%w: time %s is out of range", ErrMalformed, text)
	}
	return causal.Time(w), err
}

func decodeStamp(text string) (causal.Stamp, error) {
	if len(text) != stampDigits {
		return causal.Stamp{}, fmt.Errorf("%w: stamp %.32q is not %d hexadecimal digits", ErrMalformed, text, stampDigits)
	}
	t, err := decodeTime(text[:wordDigits])
	if err != nil {
		return causal.Stamp{}, err
	}
	origin, err := strconv.ParseUint(text[wordDigits:], 16, 8)
	// The zero stamp says "absent": nobody has flushed it.
	if err != nil || origin >= causal.MaxReplicas || t == 0 {
		return causal.Stamp{}, fmt.Errorf("%w: stamp %q", ErrMalformed, text)
	}
	return causal.Stamp{Time: t, Origin: causal.ReplicaID(origin)}, nil
}

func decodeDot(text string) (causal.Dot, error) {
	malformed := fmt.Errorf("%w: dot %.32q", ErrMalformed, text)
	fields := strings.Split(text, ".")
	if len(fields) != 3 {
		return causal.Dot{}, malformed
	}
	var numbers [3]uint64
	for i, bits := range [3]int{8, 16, 64} {
		var err error
		if numbers[i], err = strconv.ParseUint(fields[i], 10, bits); err != nil {
			return causal.Dot{}, malformed
		}
	}
	d := causal.Dot{
		Origin:      causal.ReplicaID(numbers[0]),
		Incarnation: causal.Incarnation(numbers[1]),
		Counter:     causal.Counter(numbers[2]),
	}
	if d.Origin >= causal.MaxReplicas || d.IsZero() && d != (causal.Dot{}) {
		return causal.Dot{}, malformed
	}
	return d, nil
}

// report is what both scripts say of a key: value, whether it is gone, s, e, d, x.
type report [6]string

// content returns the report's value or tombstone, with a key and nothing else.
func (r *report) content(key []byte) (causal.Version, error) {
	switch r[1] {
	case "":
		return causal.Version{Key: key, Value: []byte(r[0])}, nil
	case "1":
		return causal.Version{Key: key, Tombstone: true}, nil
	}
	return causal.Version{}, fmt.Errorf("%w: unknown reply %.32q", ErrMalformed, r[1])
}

// found returns the version that was flushed, whole.
func (r *report) found(key []byte) (causal.Version, error) {
	v, err := r.content(key)
	if err != nil {
		return causal.Version{}, err
	}
	if v.Stamp, err = decodeStamp(r[2]); err != nil {
		return causal.Version{}, err
	}
	epoch, err := decodeWord(r[3])
	if err != nil {
		return causal.Version{}, err
	}
	v.Epoch = causal.Epoch(epoch)
	if v.Dot, err = decodeDot(r[4]); err != nil {
		return causal.Version{}, err
	}
	if r[5] != "" {
		if v.Deadline, err = decodeTime(r[5]); err != nil {
			return causal.Version{}, err
		}
	}
	return v, nil
}

// foreign returns what another program left, under the stamp of the last flush. It
// is no version of ours: it has no dot, and the deadline is not its own.
func (r *report) foreign(key []byte) (causal.Version, error) {
	v, err := r.content(key)
	if err != nil {
		return causal.Version{}, err
	}
	v.Stamp = causal.ForeignStamp
	if r[2] != "" { // something was flushed
		v.Stamp, err = decodeStamp(r[2])
	}
	return v, err
}
