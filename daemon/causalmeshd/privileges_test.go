package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"causalmesh/bpf"
	"causalmesh/daemon"
	"causalmesh/daemon/store/redistest"
)

// needRoot is for tests that start daemons as others, with privileges.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: it takes root to give privileges to a process")
	}
}

// probed is a daemon with an admin endpoint, and probes of its own below pins.
type probed struct {
	*daemonProcess
	admin, pins string
}

func startProbed(t *testing.T, dir string, as *syscall.SysProcAttr, pins string, args ...string) *probed {
	t.Helper()
	p := &probed{pins: pins}
	p.daemonProcess = startAs(t, dir, as, append([]string{"-admin", "127.0.0.1:0", "-io", "auto", "-bpf-pins", pins}, args...)...)
	return p
}

// testPins is where probes of a test are pinned. Nothing may be left there.
func testPins(t *testing.T) string {
	t.Helper()
	needRoot(t)
	if err := bpf.CheckHost(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	pins := fmt.Sprintf("%s-test-%d-%s", bpf.Root, os.Getpid(), t.Name())
	t.Cleanup(func() {
		if err := bpf.Off(pins, "0"); !errors.Is(err, bpf.ErrOff) {
			t.Errorf("probes are left in %s: %v", pins, err)
		}
	})
	return pins
}

// get asks the admin endpoint, at the port that the daemon has logged.
func (p *probed) get(path string) (*http.Response, error) {
	if p.admin == "" {
		found := regexp.MustCompile(`Admin:(127\.0\.0\.1:\d+)`).FindStringSubmatch(p.logged())
		if found == nil {
			return nil, errors.New("no admin endpoint is logged")
		}
		p.admin = found[1]
	}
	return http.Get("http://" + p.admin + path)
}

// status asks until there is an answer.
func (p *probed) status() (s daemon.Status) {
	p.t.Helper()
	p.eventually("it tells its status", func() bool {
		r, err := p.get("/status")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK && json.NewDecoder(r.Body).Decode(&s) == nil
	})
	return s
}

// tells waits until the daemon's metrics have a line.
func (p *probed) tells(line string) {
	p.t.Helper()
	p.eventually(line, func() bool {
		r, err := p.get("/metrics")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		return err == nil && strings.Contains("\n"+string(text), "\n"+line+"\n")
	})
}

func (p *probed) target() bpf.Target {
	p.t.Helper()
	s := p.status()
	boot, err := strconv.ParseUint(s.Boot, 16, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return bpf.Target{Node: "0", PID: p.PID(), Boot: boot, Loops: s.Config.Loops}
}

// awaitProbes waits until the status says of the probes what it should.
func (p *probed) awaitProbes(want string) {
	p.t.Helper()
	p.eventually("probes are "+want, func() bool { return strings.HasPrefix(p.status().Config.BPF, want) })
}

// end has it drain, and holds its exit code against the expected one.
func (p *probed) end() {
	p.t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	<-p.Ended()
	if err := p.Err(); err != nil {
		p.t.Errorf("%v\n%s", err, p.logged())
	}
}

// threads tells, for all threads of a process, a line of their status.
func (d *daemonProcess) threads(name string) (values []string) {
	d.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", d.PID()))
	if err != nil || len(files) == 0 {
		d.t.Fatalf("no threads: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // It has ended.
		}
		if err != nil {
			d.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, name+":"); ok {
				values = append(values, strings.TrimSpace(value))
			}
		}
	}
	return values
}

// awaitGivenUp waits until no thread has capabilities but some, or can get any.
func (d *daemonProcess) awaitGivenUp(kept uint64) {
	d.t.Helper()
	d.eventually("its privileges are given up", func() bool {
		for name, want := range map[string]uint64{"CapEff": kept, "CapPrm": kept, "CapInh": 0, "CapAmb": 0, "NoNewPrivs": 1} {
			for _, text := range d.threads(name) {
				if has, err := strconv.ParseUint(text, 16, 64); err != nil || has != want {
					return false
				}
			}
		}
		return true
	})
}

// serves has it write something.
func (d *daemonProcess) serves(number int) {
	d.t.Helper()
	c := d.connect()
	d.say(c, write(nil, number, "k", []byte("v")))
	d.skipFrames(c, 1)
}

// What root starts has probes, gives up all privileges, and works without: it serves, can be
// looked into, can be followed by others, and takes its probes off in the end.
func TestPrivilegesAreGivenUp(t *testing.T) {
	p := startProbed(t, t.TempDir(), nil, testPins(t), "-bpf", "on", "-io", "uring", "-loops", "2")
	p.awaitProbes("on")
	p.awaitGivenUp(0)
	for _, text := range p.threads("CapBnd") {
		if strings.Trim(text, "0") != "" {
			t.Errorf("the bounding set is %s", text)
		}
	}
	p.serves(1)
	probes, err := bpf.OpenFor(p.pins, p.target())
	if err != nil {
		t.Fatal(err)
	}
	defer probes.Close()
	counted := func() (n uint64) {
		s, err := probes.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		for kind := range s.Operations {
			if bpf.KindName(kind) == "write" {
				n = s.Operations[kind].Requests
			}
		}
		return n
	}
	p.eventually("the write is counted", func() bool { return counted() > 0 }) // a little after the reply
	if n := counted(); n != 1 {
		t.Errorf("%d writes were counted, want 1", n)
	}
	if _, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID())); err != nil {
		t.Errorf("root does not see its open files: %v", err)
	}
	p.tells("causalmesh_kernel_probes_attached 1")
	p.tells(`causalmesh_kernel_requests_total{operation="write"} 1`)
	others := p.pins + "-others"
	if err := bpf.On(t.Context(), others, p.target()); err != nil {
		t.Errorf("probes of another process: %v", err)
	}
	if err := bpf.Off(others, "0"); err != nil {
		t.Error(err)
	}
	p.end()
	if _, err := os.Stat(p.pins); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", p.pins, err)
	}
	if _, err := os.Stat(p.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", p.socket, err)
	}
}

// What a daemon that was killed left is replaced. One that runs keeps its name: then auto goes
// on without, and on does not start.
func TestProbesOfTheSameName(t *testing.T) {
	pins := testPins(t)
	killed := startProbed(t, t.TempDir(), nil, pins, "-io", "uring")
	killed.awaitProbes("on")
	killed.Kill()
	first := startProbed(t, t.TempDir(), nil, pins, "-io", "uring")
	first.awaitProbes("on")

	second := startProbed(t, t.TempDir(), nil, pins, "-io", "uring")
	second.awaitProbes("no: ")
	second.awaitGivenUp(0)
	if s := second.status().Config.BPF; !strings.Contains(s, fmt.Sprintf("process %d, which runs", first.PID())) {
		t.Errorf("status: %s", s)
	}
	if n := strings.Count(second.logged(), "bpf auto"); n != 1 {
		t.Errorf("%d lines about it\n%s", n, second.logged())
	}
	second.serves(1)
	second.end()

	third := startProbed(t, t.TempDir(), nil, pins, "-io", "uring", "-bpf", "on")
	<-third.Ended()
	if code := exitCode(third.Err()); code != exitFailed || !strings.Contains(third.logged(), bpf.ErrTaken.Error()) {
		t.Errorf("exit code %d\n%s", code, third.logged())
	}
	if _, err := bpf.OpenFor(pins, first.target()); err != nil {
		t.Errorf("the others have harmed the first one's probes: %v", err)
	}
	first.end()
}

// nobody is a user without privileges.
const nobody = 65534

// asNobody runs the daemon as a user of its own, with some capabilities. It may enter dir.
func asNobody(t *testing.T, dir string, ambient ...uintptr) *syscall.SysProcAttr {
	t.Helper()
	needRoot(t)
	if err := errors.Join(os.Chown(dir, nobody, nobody), os.Chmod(filepath.Dir(program), 0o755)); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: ambient}
}

// openDir is a folder that others may get at, unlike those of t.TempDir.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "priv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Without root two capabilities are enough, and a BPF file system that may be written. They are
// given up all the same.
func TestTwoCapabilitiesAreEnough(t *testing.T) {
	dir := openDir(t)
	as := asNobody(t, dir, unix.CAP_BPF, unix.CAP_PERFMON)
	if err := bpf.CheckHost(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	mounted := openDir(t)
	if err := unix.Mount("bpf", mounted, "bpf", 0, "mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mounted, 0); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chown(mounted, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	p := startProbed(t, dir, as, filepath.Join(mounted, "causalmesh"), "-bpf", "on", "-io", "uring")
	p.awaitProbes("on")
	p.awaitGivenUp(0)
	p.serves(1)
	p.tells(`causalmesh_kernel_requests_total{operation="write"} 1`)
	p.end()
	if _, err := os.Stat(p.pins); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", p.pins, err)
	}
}

// wrapped has a test start the program from a script that first runs commands.
func wrapped(t *testing.T, commands string) {
	t.Helper()
	script := filepath.Join(filepath.Dir(program), "wrapped")
	text := fmt.Sprintf("#!/usr/bin/env bash\nset -eu\n%s\nexec %s \"$@\"\n", commands, program)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	usual := program
	program = script
	t.Cleanup(func() { program = usual })
}

// hideTypes hides BTF, and where else the kernel's types may be found.
const hideTypes = `for d in /sys/kernel/btf /boot /lib/modules /usr/lib/modules /usr/lib/debug; do
	[ ! -d $d ] || mount -t tmpfs none $d
done`

// Whatever probes lack, all else works. There is a line for each thing that is missing.
func TestWithoutProbes(t *testing.T) {
	needRoot(t)
	for name, c := range map[string]struct {
		user  bool
		flags uintptr // a namespace of its own
		first string  // commands
		args  []string
		says  []string
	}{
		"privileges":    {user: true, says: []string{"capabilities: without CAP_BPF CAP_PERFMON", "bpffs: "}},
		"io_uring":      {user: true, args: []string{"-io", "net"}, says: []string{"io: bytes move through net"}},
		"bpffs":         {args: []string{"-bpf-pins", t.TempDir()}, says: []string{"bpffs: "}},
		"PID namespace": {flags: syscall.CLONE_NEWPID, says: []string{"PID namespace: "}},
		"BTF":           {flags: syscall.CLONE_NEWNS, first: hideTypes, says: []string{"BTF: "}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, as := openDir(t), &syscall.SysProcAttr{}
			if c.user {
				as = asNobody(t, dir)
			}
			if c.flags == syscall.CLONE_NEWNS {
				as.Unshareflags = c.flags // and what is mounted is not seen outside
			} else {
				as.Cloneflags = c.flags
			}
			wrapped(t, c.first)
			p := startProbed(t, dir, as, bpf.Root, c.args...)
			p.awaitProbes("no: ")
			p.serves(1)
			p.awaitGivenUp(0)
			p.tells("causalmesh_kernel_probes_attached 0")
			var lines []string
			for line := range strings.Lines(p.logged()) {
				if strings.Contains(line, "bpf auto") {
					lines = append(lines, line)
				}
			}
			if len(lines) != len(c.says) {
				t.Fatalf("%d lines, want %d:\n%s", len(lines), len(c.says), strings.Join(lines, ""))
			}
			for i, says := range c.says {
				if !strings.Contains(lines[i], says) {
					t.Errorf("%s does not say %q", lines[i], says)
				}
			}
			p.end()
		})
	}
}

// What is insisted on and cannot be is an error of the settings.
func TestProbesThatCannotBe(t *testing.T) {
	for name, args := range map[string][]string{
		"io net":            {"-io", "net"},
		"no BPF filesystem": {"-io", "auto", "-bpf-pins", t.TempDir()},
	} {
		out, err := exec.Command(program, append([]string{"-listen-tcp", "127.0.0.1:0", "-bpf", "on"}, args...)...).CombinedOutput()
		if exitCode(err) != exitConfig || !strings.Contains(string(out), "use auto or off") {
			t.Errorf("%s: exit code %d\n%s", name, exitCode(err), out)
		}
	}
}

// Root reaches a socket of somebody else's for as long as it runs: it keeps what that takes,
// and nothing else.
func TestDatabaseOfAnotherUser(t *testing.T) {
	needRoot(t)
	redisServer := redistest.Start(t)
	if err := errors.Join(os.Chown(redisServer.Socket, nobody, nobody), os.Chmod(redisServer.Socket, 0o700)); err != nil {
		t.Fatal(err)
	}
	d := start(t, "-store", redisServer.SocketURL())
	d.awaitGivenUp(1 << unix.CAP_DAC_OVERRIDE)
	if !strings.Contains(d.logged(), "CAP_DAC_OVERRIDE is kept") {
		t.Error(d.logged())
	}
}

// A build with cgo cannot, says so, and works.
func TestBuiltWithCgo(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	with := filepath.Join(t.TempDir(), "causalmeshd")
	build := exec.Command("go", "build", "-o", with, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wrapped(t, "exec "+with+` "$@"`)
	d := start(t)
	d.serves(1)
	d.eventually("it says that it keeps them", func() bool { return strings.Contains(d.logged(), "CGO_ENABLED=0") })
}

// limitLocked limits the memory that may be locked. Rings of io_uring take some; root has a
// capability for that.
func limitLocked(t *testing.T, kib int) { wrapped(t, fmt.Sprint("ulimit -l ", kib)) }

// Privileges are not given up before all loops have what takes them.
func TestLoopsBeginWithPrivileges(t *testing.T) {
	needRoot(t)
	limitLocked(t, 0)
	d := start(t, "-io", "uring", "-loops", "8")
	d.awaitGivenUp(0)
	d.serves(1)
}

// Where rings take more memory than a user may lock, auto does without them and says so.
func TestRingsThatMayNotBe(t *testing.T) {
	limitLocked(t, 300) // enough for one
	dir := openDir(t)
	d := startAs(t, dir, asNobody(t, dir), "-bpf", "off", "-io", "auto", "-loops", "8")
	d.serves(1)
	check := exec.Command(program, "-check-host", "-loops", "8")
	check.SysProcAttr = asNobody(t, dir)
	out, err := check.CombinedOutput()
	if refused := strings.Contains(d.logged(), "LimitMEMLOCK"); err != nil || refused != strings.Contains(string(out), "LimitMEMLOCK") {
		t.Errorf("%v: the daemon says %s, and -check-host %s", err, d.logged(), out)
	}
}
