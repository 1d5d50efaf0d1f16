package daemon

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"causalmesh/bpf"
	"causalmesh/ring/shm"
	"causalmesh/ring/table"
	"causalmesh/ring/uring"
)

// finding is what a host has of something that the daemon can use.
type finding struct {
	name  string
	found string
	err   error // what is missing; after a semicolon, what would help
}

// findings are about one thing that the daemon can do.
type findings struct {
	title   string
	without string // what it is like without; empty: it cannot run
	all     []finding
}

// CheckHost writes, for people, what works on this host for this process, and what would help.
// It reports whether a daemon can run at all.
func (c *Config) CheckHost(w io.Writer) bool {
	fmt.Fprintf(w, "causalmeshd %s on %s, %s, uid %d\n", Version(), kernelRelease(), runtime.GOARCH, os.Geteuid())
	runs := true
	var without []string
	overRing := uring.ProbeLoops(c.Loops)
	for _, f := range []findings{
		{"To run at all", "", c.findRun()},
		{"io_uring (--io)", "bytes move through the net package, which costs more", []finding{
			{"io_uring", fmt.Sprintf("single-issuer rings, deferred task running, receive buffer rings; --loops %d", c.Loops), overRing},
		}},
		{"Shared memory (shm: and direct: targets)", "clients in shared memory are refused", findSharing()},
		{"Probes in the kernel (--bpf, meshctl probe)", "no probes in the kernel", findProbes(c.BPFPins, overRing)},
		{"Privileges", "it keeps its capabilities while it serves", []finding{
			{"threads", "all capabilities are given up once it serves", canGiveUp()},
		}},
	} {
		fmt.Fprintf(w, "\n%s\n", f.title)
		met := true
		for _, one := range f.all {
			met = one.write(w) && met
		}
		if !met && f.without == "" {
			runs = false
		} else if !met {
			without = append(without, f.without)
		}
	}
	switch {
	case !runs:
		fmt.Fprintln(w, "\ncausalmeshd cannot run here.")
	case len(without) > 0:
		fmt.Fprintf(w, "\ncausalmeshd can run here, but: %s.\n", strings.Join(without, "; "))
	default:
		fmt.Fprintln(w, "\ncausalmeshd can run here, with everything.")
	}
	return runs
}

// indent is where what was found begins in a line.
const indent = 22

// write writes a line, and one more with what would help.
func (f *finding) write(w io.Writer) bool {
	if f.err == nil {
		fmt.Fprintf(w, "  yes  %-13s  %s\n", f.name, f.found)
		return true
	}
	what, help, _ := strings.Cut(strings.TrimPrefix(f.err.Error(), f.name+": "), "; ")
	fmt.Fprintf(w, "  NO   %-13s  %s\n", f.name, what)
	if help != "" {
		fmt.Fprintf(w, "%*s-> %s\n", indent, "", help)
	}
	return false
}

func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return runtime.GOOS
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}

// findRun is about what no daemon can do without.
func (c *Config) findRun() []finding {
	files, room := connsRoom()
	conns := fmt.Sprintf("%d: up to %d connections at each listener", files, min(room, c.MaxConns))
	if room < c.MaxConns {
		conns += fmt.Sprintf(" (for max-conns %d: ulimit -n %d, or LimitNOFILE=)", c.MaxConns, 2*c.MaxConns+reservedFiles)
	}
	return []finding{
		{name: "processors", found: fmt.Sprintf("%d: more --loops serve nobody", runtime.NumCPU())},
		{name: "open files", found: conns},
		{"sockets", "TCP and Unix", tryListening()},
		{"memory", "a table off the heap", tryTable()},
	}
}

// tryListening opens a listener of each kind. The Unix socket has no file.
func tryListening() error {
	var errs []error
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": fmt.Sprintf("@causalmesh-check-%d", os.Getpid())} {
		l, err := net.Listen(network, address)
		if err == nil {
			err = l.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkBytes is the size of the table that is tried.
const checkBytes = 1 << 20

func tryTable() error {
	t, err := table.New(table.Options{Bytes: checkBytes, Epoch: 1})
	if err != nil {
		return err
	}
	return t.Close()
}

// findSharing is about memory that clients map.
func findSharing() []finding {
	return []finding{
		{"rings", "a sealed file in memory, passed over a Unix socket", trySharing()},
		{"table", "a file in memory, opened again for reading", tryDirect()},
	}
}

// trySharing passes a client's file over a socket, and maps it there.
func trySharing() error {
	s, err := shm.Create(ringBytes)
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(s.CloseFD(), s.Close()) }()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(unix.Close(ends[0]), unix.Close(ends[1])) }()
	if err := unix.Sendmsg(ends[0], []byte{0}, unix.UnixRights(s.FD()), nil, 0); err != nil {
		return fmt.Errorf("pass a file: %w", err)
	}
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(ends[1], make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return fmt.Errorf("take a file: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) != 1 {
		return fmt.Errorf("take a file: %d messages: %w", len(messages), errors.Join(err, unix.EBADMSG))
	}
	files, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(files[0]) }()
	client, err := shm.Attach(files[0])
	if err != nil {
		return err
	}
	return client.Close()
}

func tryDirect() error {
	t, err := table.New(table.Options{Bytes: checkBytes, Epoch: 1})
	if err != nil {
		return err
	}
	defer func() { _ = t.Close() }()
	fd, err := t.Share()
	if err != nil {
		return fmt.Errorf("%w; mount /proc", err)
	}
	return unix.Close(fd)
}

func findProbes(pins string, overRing error) (all []finding) {
	if overRing != nil {
		all = append(all, finding{name: "io_uring", err: errors.New("not there, and probes see nothing else; see above")})
	}
	for _, n := range bpf.Needs(pins) {
		all = append(all, finding{n.Name, n.Found, n.Err})
	}
	return all
}

// canGiveUp tries a call on all threads that changes nothing.
func canGiveUp() error {
	_, _, e := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_GET_NO_NEW_PRIVS, 0, 0)
	if e == syscall.ENOTSUP {
		return errors.New("this program was built with cgo; build it with CGO_ENABLED=0, as make build does")
	}
	if e != 0 {
		return e
	}
	return nil
}
