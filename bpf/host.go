package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Need is something that probes take, and what this process finds of it.
type Need struct {
	Name  string // the error begins with it
	Found string // what is there
	Err   error  // what is missing, and what would help; nil: nothing
}

// CheckHost says whether programs can be attached here, by this process. The error is
// ErrHost and has a line for each reason against it.
func CheckHost() error {
	_, err := checkHost()
	return err
}

func checkHost() (variants, error) {
	needs, v := hostNeeds()
	if err := unmet(needs); err != nil {
		return nil, hostError(err)
	}
	return v, nil
}

// Needs tells of everything that probes with pins below root take. An error of it is a reason
// why they are not possible; there is one line for each.
func Needs(root string) []Need {
	needs, _ := hostNeeds()
	found, err := checkPins(root)
	return append(needs, Need{"bpffs", found, err})
}

func hostNeeds() ([]Need, variants) {
	var needs []Need
	var v variants
	if kernel, err := runningKernel(); err != nil {
		err = fmt.Errorf("BTF: the kernel does not tell its types (%w); use one with CONFIG_DEBUG_INFO_BTF", err)
		needs = append(needs, Need{Name: "BTF", Err: err})
	} else {
		needs = append(needs, Need{Name: "BTF", Found: "the kernel tells its types"})
		v, err = choose(kernel)
		needs = append(needs, tracepoints(v, err)...)
	}
	has, err := capabilities()
	needs = append(needs, Need{"capabilities", has, err})
	has, err = pidNamespace()
	return append(needs, Need{"PID namespace", has, err}), v
}

// tracepoints tells of each program that was chosen, and of each that is missing.
func tracepoints(v variants, err error) (needs []Need) {
	for _, name := range slices.Sorted(maps.Keys(v)) {
		needs = append(needs, Need{Name: "tracepoints", Found: name + " by " + v[name]})
	}
	if _, ok := v[onSent]; !ok && v != nil {
		needs = append(needs, Need{Name: "tracepoints", Found: "none for the ends of sends (Linux 6.3): these are not timed"})
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range several.Unwrap() {
			needs = append(needs, Need{Name: "tracepoints", Err: err})
		}
	}
	return needs
}

func unmet(needs []Need) error {
	var errs []error
	for _, n := range needs {
		errs = append(errs, n.Err)
	}
	return errors.Join(errs...)
}

// hostError begins on a line of its own if there are several reasons.
func hostError(err error) error { return fmt.Errorf("%w: %w", ErrHost, err) }

// capabilities asks for what loading and attaching needs. CAP_SYS_ADMIN stands for all.
func capabilities() (string, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", err
	}
	has, err := effective(text)
	if err != nil {
		return "", err
	}
	return strings.Join(among(has, true), " "), missing(has)
}

// needed are the capabilities that loading and attaching takes.
var needed = []struct {
	bit  int
	name string
}{{unix.CAP_BPF, "CAP_BPF"}, {unix.CAP_PERFMON, "CAP_PERFMON"}}

// among names the needed capabilities that are among a process's, or are not.
func among(has uint64, are bool) (names []string) {
	for _, c := range needed {
		if has&(1<<c.bit) != 0 == are {
			names = append(names, c.name)
		}
	}
	if are && has&(1<<unix.CAP_SYS_ADMIN) != 0 {
		names = append(names, "CAP_SYS_ADMIN")
	}
	return names
}

// Capabilities are those that probes take. To mount a BPF file system takes more.
func Capabilities() []string { return among(0, false) }

// missing says which capabilities are not among a process's.
func missing(has uint64) error {
	without := among(has, false)
	if has&(1<<unix.CAP_SYS_ADMIN) != 0 || len(without) == 0 {
		return nil
	}
	return fmt.Errorf("capabilities: without %s; run this as root, or with AmbientCapabilities=%s in its systemd unit",
		strings.Join(without, " "), strings.Join(Capabilities(), " "))
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

// firstPIDNamespace is what /proc/self/ns/pid shows in the first one: the kernel has given it
// a fixed number.
const firstPIDNamespace = "pid:[4026531836]"

// pidNamespace asks for the first one, as the programs know the daemon by its number there.
func pidNamespace() (string, error) {
	in, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", fmt.Errorf("PID namespace: %w; mount /proc", err)
	}
	return firstOf(in)
}

func firstOf(in string) (string, error) {
	if strings.TrimSpace(in) != firstPIDNamespace {
		return "", fmt.Errorf("PID namespace: this is not the first one, and the kernel knows the daemon by its number there; "+
			"run meshctl probe on there, outside the container (%s)", in)
	}
	return "the first", nil
}
