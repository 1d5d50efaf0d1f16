package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Root is where nodes' folders of pins are, unless asked for elsewhere:
//
//	Root/NODE/links/     wait ready received answered sent
//	Root/NODE/programs/  the same
//	Root/NODE/maps/      histograms operations outliers settings losses about connections rings threads
const Root = filesystem + "/causalmesh"

// filesystem is where the BPF file system is by convention.
const filesystem = "/sys/fs/bpf"

var (
	pinnedPrograms = []string{onWait, onReady, onReceived, onAnswered, onSent}
	pinnedMaps     = []string{
		requestsMapAbout, requestsMapConnections, requestsMapHistograms, requestsMapLosses, requestsMapOperations,
		requestsMapOutliers, requestsMapRings, requestsMapSettings, requestsMapThreads,
	}
)

// folder is a node's folder of pins.
type folder string

func folderOf(root, node string) folder { return folder(filepath.Join(root, node)) }

func (f folder) link(name string) string    { return filepath.Join(string(f), "links", name) }
func (f folder) program(name string) string { return filepath.Join(string(f), "programs", name) }
func (f folder) mapped(name string) string  { return filepath.Join(string(f), "maps", name) }

// create makes the folder. It is ErrOn if it is there.
func (f folder) create() error {
	root := filepath.Dir(string(f))
	if err := mount(root); err != nil {
		return err
	}
	if err := os.MkdirAll(root, 0o755); errors.Is(err, fs.ErrPermission) {
		return hostError(notWritten(root, err))
	} else if err != nil {
		return err
	}
	err := os.Mkdir(string(f), 0o755)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s is there", ErrOn, f)
	}
	for _, sub := range []string{f.link(""), f.program(""), f.mapped("")} {
		if err == nil {
			err = os.Mkdir(sub, 0o755)
		}
	}
	return err
}

// mount sees to it that root is in a BPF file system: it mounts one at the usual place.
func mount(root string) error {
	in, is := existing(root)
	switch {
	case is:
		return nil
	case in != filesystem:
		return hostError(notWithin(root))
	}
	if err := mountOnce(); err != nil {
		return hostError(notMounted(err))
	}
	return nil
}

// existing finds the part of a path that exists, and whether it is in a BPF file system.
func existing(root string) (in string, is bool) {
	in = root
	var s unix.Statfs_t
	for unix.Statfs(in, &s) != nil && in != "/" {
		in = filepath.Dir(in)
	}
	return in, s.Type == unix.BPF_FS_MAGIC
}

func notWithin(root string) error {
	return fmt.Errorf("bpffs: %s is in no BPF file system; use a folder below %s", root, filesystem)
}

func notMounted(err error) error {
	return fmt.Errorf("bpffs: mount %s: %w; run this as root, or mount it: mount -t bpf bpf %s", filesystem, err, filesystem)
}

func notWritten(in string, err error) error {
	return fmt.Errorf("bpffs: %s: %w; as root make a folder below %s for this user to pin probes in, and let it go there (chmod o+x %s)",
		in, err, filesystem, filesystem)
}

// checkPins says whether this process could pin below root. It changes nothing.
func checkPins(root string) (found string, err error) {
	in, is := existing(root)
	switch {
	case is:
		if err := unix.Faccessat(unix.AT_FDCWD, in, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
			return "", notWritten(in, err)
		}
		return in + " may be written", nil
	case in != filesystem:
		return "", notWithin(root)
	}
	if text, err := os.ReadFile("/proc/self/status"); err == nil {
		if has, err := effective(text); err == nil && has&(1<<unix.CAP_SYS_ADMIN) != 0 {
			return filesystem + " can be mounted", nil
		}
	}
	return "", notMounted(unix.EPERM)
}

// mountOnce mounts the BPF file system. Of several processes that want to, one does: a
// second mount would hide what is pinned in the first.
func mountOnce() error {
	fd, err := unix.Open(filesystem, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil { // of what lies below the mount
		return err
	}
	var s unix.Statfs_t
	if err := unix.Statfs(filesystem, &s); err != nil || s.Type == unix.BPF_FS_MAGIC {
		return err
	}
	return unix.Mount("bpf", filesystem, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_RELATIME, "mode=0700")
}

// pin pins all that stays.
func (f folder) pin(l *loaded) error {
	for _, name := range pinnedMaps {
		if err := l.Maps[name].Pin(f.mapped(name)); err != nil {
			return err
		}
	}
	for _, name := range pinnedPrograms {
		if l.variants[name] == "" {
			continue
		}
		if err := l.Programs[l.variants[name]].Pin(f.program(name)); err != nil {
			return err
		}
		if err := l.links[name].Pin(f.link(name)); err != nil {
			return err
		}
	}
	return nil
}

// remove unpins everything, links first: with them the programs are detached. Of what
// others have put there nothing is removed. It is ErrOff if there is no folder.
func (f folder) remove() error {
	if err := f.there(); err != nil {
		return err
	}
	// Whoever may write in the folder may have put links there that lead elsewhere: nothing is
	// removed outside of it.
	in, err := openFolder(string(f))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	here := folder(".")
	var paths []string
	for _, name := range pinnedPrograms {
		paths = append(paths, here.link(name))
	}
	for _, name := range pinnedPrograms {
		paths = append(paths, here.program(name))
	}
	for _, name := range pinnedMaps {
		paths = append(paths, here.mapped(name))
	}
	var errs []error
	for _, path := range append(paths, here.link(""), here.program(""), here.mapped("")) {
		if err := in.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, os.Remove(string(f)))
	_ = os.Remove(filepath.Dir(string(f))) // if it was the last
	return errors.Join(errs...)
}

// openFolder opens a folder that is no link to one.
func openFolder(path string) (*os.Root, error) {
	in, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	named, err := os.Lstat(path)
	if err == nil {
		var opened fs.FileInfo
		if opened, err = in.Stat("."); err == nil && !os.SameFile(named, opened) {
			err = fmt.Errorf("%w: %s is a link; remove it", ErrPins, path)
		}
	}
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

// there is ErrOff if there is no folder.
func (f folder) there() error {
	_, err := os.Stat(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: there is no %s", ErrOff, f)
	}
	return err
}
