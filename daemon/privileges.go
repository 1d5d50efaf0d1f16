package daemon

import (
	"errors"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"causalmesh/daemon/store"
)

// Privileges. Nothing takes any once a node serves: listeners are open, io_urings are made,
// probes are attached, the cluster key is read. So all capabilities are given up then, of all
// threads and for good: whoever gets hold of the process has those of its user, and no more.

// capabilities are a process's effective, permitted and inheritable ones.
type capabilities [2]unix.CapUserData // of 32 each

func (c *capabilities) empty() bool { return *c == capabilities{} }

func (c *capabilities) add(capability int) {
	half := &c[capability/32]
	half.Effective |= 1 << (capability % 32)
	half.Permitted |= 1 << (capability % 32)
}

func (c *capabilities) has(capability int) bool {
	return c[capability/32].Effective&(1<<(capability%32)) != 0
}

// threadCapabilities are those of the thread that asks.
func threadCapabilities() (c capabilities, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	err = unix.Capget(&header, &c[0])
	return c, err
}

// giveUpPrivileges gives up all capabilities. The one exception is that of root over a socket of
// the database that it could not connect to again as its owner or group.
func (n *node) giveUpPrivileges() {
	has, err := threadCapabilities()
	if err != nil {
		n.log.Error("capabilities: the kernel does not tell them", "error", err)
		return
	}
	var keep capabilities
	if path := n.storeSocket(); path != "" && has.has(unix.CAP_DAC_OVERRIDE) && !reachedWithout(path) {
		keep.add(unix.CAP_DAC_OVERRIDE)
		n.log.Warn("CAP_DAC_OVERRIDE is kept: without it the database's socket could not be reached again; "+
			"run causalmeshd as a user or group that may write to it", "socket", path)
	}
	switch err := dropTo(keep); {
	case errors.Is(err, syscall.ENOTSUP):
		if !has.empty() {
			n.log.Warn("capabilities are not given up: this program was built with cgo, and Go does not know all of its threads; " +
				"build it with CGO_ENABLED=0, as make build does")
		}
	case err != nil:
		n.log.Error("capabilities are not given up", "error", err)
	case !has.empty():
		n.log.Info("capabilities are given up: nothing needs them any more")
	}
}

// dropTo leaves all threads with some capabilities, and no way to get others: by executing a
// program neither. Threads to come have what those have that make them.
func dropTo(keep capabilities) error {
	if _, _, e := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); e != 0 {
		return e
	}
	// The bounding set: who may not change it has none to bound. The kernel says where they end.
	for c := uintptr(0); ; c++ {
		if _, _, e := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0); e != 0 {
			break
		}
	}
	// What is not permitted and inheritable is not ambient, either.
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	_, _, e := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&keep)), 0)
	if e != 0 {
		return e
	}
	return nil
}

// storeSocket is the database's Unix socket, if it is reached over one.
func (n *node) storeSocket() string {
	if !n.cfg.hasStore() {
		return ""
	}
	if o, err := store.ParseURL(n.cfg.Store); err == nil && o.Network == "unix" {
		return o.Addr
	}
	return ""
}

// reachedWithout reports whether a process without capabilities may connect to a socket: one
// thread uses none while it tries. It has them again afterwards, since a call on all threads
// has to come out alike on each.
func reachedWithout(path string) bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	has, err := threadCapabilities()
	if err != nil {
		return true
	}
	without := has
	for i := range without {
		without[i].Effective = 0
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if unix.Capset(&header, &without[0]) != nil {
		return true
	}
	err = unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS)
	if back := unix.Capset(&header, &has[0]); back != nil {
		panic("daemon: capabilities that are permitted cannot be used again: " + back.Error())
	}
	return !errors.Is(err, unix.EACCES)
}
