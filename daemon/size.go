package daemon

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes that people write with a unit: 64KiB, 512MiB, 2GiB.
type Size int64

// The units, largest first, so that String finds the shortest form.
var sizeUnits = []struct {
	name  string
	bytes Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Set reads what String writes.
func (s *Size) Set(text string) error {
	number, unit := text, Size(1)
	for _, u := range sizeUnits {
		if before, found := strings.CutSuffix(text, u.name); found {
			number, unit = before, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return fmt.Errorf("%q is no size; write bytes, or a number with KiB, MiB or GiB", text)
	}
	*s = Size(n) * unit
	return nil
}
