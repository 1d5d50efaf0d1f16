package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// CheckHost says whether programs can be attached here, by this process. The error is
// ErrHost and has a line for each reason against it.
func CheckHost() error {
	_, err := checkHost()
	return err
}

func checkHost() (variants, error) {
	var v variants
	kernel, err := runningKernel()
	if err != nil {
		err = fmt.Errorf("BTF: the kernel does not tell its types (%w); use one with CONFIG_DEBUG_INFO_BTF", err)
	} else {
		v, err = choose(kernel)
	}
	if err = errors.Join(err, checkCapabilities()); err != nil {
		return nil, hostError(err)
	}
	return v, nil
}

// hostError begins on a line of its own if there are several reasons.
func hostError(err error) error { return fmt.Errorf("%w: %w", ErrHost, err) }

// checkCapabilities asks for what loading and attaching needs. CAP_SYS_ADMIN stands for all.
func checkCapabilities() error {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	has, err := effective(text)
	if err != nil {
		return err
	}
	return missing(has)
}

// missing says which capabilities are not among a process's.
func missing(has uint64) error {
	if has&(1<<unix.CAP_SYS_ADMIN) != 0 {
		return nil
	}
	without := ""
	for _, c := range []struct {
		bit  int
		name string
	}{{unix.CAP_BPF, "CAP_BPF"}, {unix.CAP_PERFMON, "CAP_PERFMON"}} {
		if has&(1<<c.bit) == 0 {
			without += " " + c.name
		}
	}
	if without != "" {
		return fmt.Errorf("capabilities: without%s; run this as root", without)
	}
	return nil
}

var errStatus = errors.New("/proc/self/status has no CapEff")

// effective reads the effective capabilities of a process's status.
func effective(status []byte) (uint64, error) {
	for line := range bytes.Lines(status) {
		if value, ok := bytes.CutPrefix(line, []byte("CapEff:")); ok {
			return strconv.ParseUint(string(bytes.TrimSpace(value)), 16, 64)
		}
	}
	return 0, errStatus
}
