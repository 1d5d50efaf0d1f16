package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Ticks is a time in the kernel's clock ticks.
type Ticks uint64

// stat is what this package needs of /proc/PID/stat.
type stat struct {
	zombie       bool // it has ended and its parent has not asked how
	user, system Ticks
	started      Ticks // since the machine's start
}

// The fields of /proc/PID/stat, counted from the one after the program's name: see
// proc_pid_stat(5), which counts the process ID and the name as 1 and 2.
const (
	fieldState   = 0  // the third
	fieldUser    = 11 // the 14th
	fieldSystem  = 12 // the 15th
	fieldStarted = 19 // the 22nd
)

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	switch {
	// A process that ends between open and read gives ESRCH.
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH):
		return stat{}, fmt.Errorf("process %d: %w", pid, ErrGone)
	case err != nil:
		return stat{}, err
	}
	s, err := parseStat(text)
	if err != nil {
		return stat{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return s, nil
}

func parseStat(text []byte) (s stat, err error) {
	// The name is in parentheses and may hold anything, parentheses and spaces too.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) <= fieldStarted {
		return s, fmt.Errorf("%w: stat has %d fields after the name", ErrProc, len(fields))
	}
	s.zombie = fields[fieldState][0] == 'Z' || fields[fieldState][0] == 'X'
	for _, f := range []struct {
		index int
		value *Ticks
	}{{fieldUser, &s.user}, {fieldSystem, &s.system}, {fieldStarted, &s.started}} {
		n, err := strconv.ParseUint(string(fields[f.index]), 10, 64)
		if err != nil {
			return s, fmt.Errorf("%w: stat: %w", ErrProc, err)
		}
		*f.value = Ticks(n)
	}
	return s, nil
}

// ticksPerSecond is the kernel's USER_HZ, which it tells every process.
var ticksPerSecond = sync.OnceValues(func() (Ticks, error) {
	text, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		return 0, err
	}
	return parseAuxv(text)
})

// parseAuxv finds the clock's frequency in the auxiliary vector: pairs of words.
func parseAuxv(text []byte) (Ticks, error) {
	const (
		wordBytes = strconv.IntSize / 8
		clockTick = 17 // AT_CLKTCK
	)
	word := func(b []byte) uint64 {
		if wordBytes == 4 {
			return uint64(binary.NativeEndian.Uint32(b))
		}
		return binary.NativeEndian.Uint64(b)
	}
	for ; len(text) >= 2*wordBytes; text = text[2*wordBytes:] {
		if frequency := word(text[wordBytes:]); word(text) == clockTick && frequency > 0 {
			return Ticks(frequency), nil
		}
	}
	return 0, fmt.Errorf("%w: auxv does not tell the clock's frequency", ErrProc)
}

// CPUTime returns how long the process has used processors, in user and kernel
// mode, all of its threads together and those that have ended too. The kernel counts
// it in ticks, 10 ms as a rule.
func CPUTime(id Identity) (time.Duration, error) {
	frequency, err := ticksPerSecond()
	if err != nil {
		return 0, err
	}
	s, err := id.stat()
	if err != nil {
		return 0, err
	}
	return time.Duration(s.user+s.system) * time.Second / time.Duration(frequency), nil
}
