package bpf

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// loaded are the programs and maps in the kernel, and what is attached of them.
type loaded struct {
	*ebpf.Collection
	variants variants
	links    map[string]link.Link // by program, as it is pinned
}

// load loads what fits this kernel, for a daemon's process, and attaches nothing. A
// *ebpf.VerifierError in the error has what the kernel had against a program.
func load(pid uint32) (*loaded, error) {
	v, err := checkHost()
	if err != nil {
		return nil, err
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, hostError(fmt.Errorf("locked memory: %w; raise the limit (ulimit -l)", err))
	}
	spec, err := loadRequests()
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, program := range v {
		wanted[program] = true
	}
	for name := range spec.Programs {
		if !wanted[name] { // It would be refused: it is for another kernel.
			delete(spec.Programs, name)
		}
	}
	seesSends := uint32(0)
	if v[onSent] != "" {
		seesSends = 1
	}
	if err := errors.Join(spec.Variables["daemon_pid"].Set(pid), spec.Variables["sees_sends"].Set(seesSends)); err != nil {
		return nil, err
	}
	c, err := ebpf.NewCollection(spec)
	if errors.Is(err, fs.ErrPermission) {
		err = hostError(fmt.Errorf("the kernel refuses programs of this process: %w", err))
	}
	if err != nil {
		return nil, err
	}
	return &loaded{Collection: c, variants: v, links: map[string]link.Link{}}, nil
}

// attach attaches programs by the names that they are pinned under, if there are such.
func (l *loaded) attach(names ...string) error {
	for _, name := range names {
		if l.variants[name] == "" {
			continue
		}
		k, err := link.AttachTracing(link.TracingOptions{Program: l.Programs[l.variants[name]]})
		if err != nil {
			return fmt.Errorf("attach %s: %w", l.variants[name], err)
		}
		l.links[name] = k
	}
	return nil
}

// close lets go of everything; what is pinned stays.
func (l *loaded) close() {
	for _, k := range l.links {
		_ = k.Close()
	}
	l.Close()
}
