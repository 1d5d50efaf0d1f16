package bpf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// The names of the programs, as they are pinned.
const (
	onWait     = "wait"
	onReady    = "ready"
	onReceived = "received"
	onAnswered = "answered"
	onSent     = "sent" // may be missing
)

// variants says which program of requests.c to use for each name.
type variants map[string]string

// kernelTypes finds the arguments of a tracepoint; false if the kernel has none.
type kernelTypes func(tracepoint string) ([]btf.FuncParam, bool)

// runningKernel reads the BTF of the running kernel.
func runningKernel() (kernelTypes, error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, err
	}
	return func(tracepoint string) ([]btf.FuncParam, bool) {
		var t *btf.Typedef
		if spec.TypeByName("btf_trace_"+tracepoint, &t) != nil {
			return nil, false
		}
		p, ok := t.Type.(*btf.Pointer)
		if !ok {
			return nil, false
		}
		f, ok := p.Target.(*btf.FuncProto)
		if !ok || len(f.Params) == 0 {
			return nil, false
		}
		return f.Params[1:], true // without what was registered with it
	}, nil
}

// choose finds the programs that fit the kernel. The error has a line for each tracepoint
// for which there is none. Without one for the ends of sends, which came with Linux 6.3,
// these are not measured.
func choose(kernel kernelTypes) (variants, error) {
	v := variants{}
	var missing []error
	for _, p := range []struct {
		name     string
		variants []variant
	}{
		{onWait, []variant{{"io_uring_cqring_wait", "on_wait", "*"}}},
		{onReady, []variant{{"io_uring_task_add", "on_ready", "io_kiocb"}}},
		{onReceived, []variant{
			{"io_uring_complete", "on_complete_cqe", "* * io_uring_cqe"},
			{"io_uring_complete", "on_complete_values", "* * 8 4 4"},
		}},
		{onAnswered, []variant{
			{"io_uring_submit_req", "on_submit_req", "io_kiocb"},
			{"io_uring_submit_sqe", "on_submit_sqe", "io_kiocb"},
		}},
		{onSent, []variant{{"sock_send_length", "on_sent", "* 4 4"}}},
	} {
		var tried []string
		for _, w := range p.variants {
			params, ok := kernel(w.tracepoint)
			if ok && w.fits(params) {
				v[p.name] = w.program
				break
			}
			if tried = append(tried, w.tracepoint+": not there"); ok {
				tried[len(tried)-1] = fmt.Sprintf("%s: other arguments than %q", w.tracepoint, w.params)
			}
		}
		if v[p.name] == "" && p.name != onSent {
			missing = append(missing, fmt.Errorf(
				"tracepoints: none to see what is %s (%s); use Linux 6.1 or later, or a later version of this program",
				p.name, strings.Join(tried, ", ")))
		}
	}
	return v, errors.Join(missing...)
}

// variant is a program and what it takes the tracepoint's first arguments to be: "*" is a
// pointer, a number the bytes of an integer, and a name that of the struct that is
// pointed to.
type variant struct{ tracepoint, program, params string }

func (v variant) fits(params []btf.FuncParam) bool {
	wanted := strings.Fields(v.params)
	if len(params) < len(wanted) {
		return false
	}
	for i, want := range wanted {
		switch t := btf.UnderlyingType(params[i].Type).(type) {
		case *btf.Pointer:
			s, ok := btf.UnderlyingType(t.Target).(*btf.Struct)
			if want != "*" && (!ok || s.Name != want) {
				return false
			}
		case *btf.Int:
			if want != fmt.Sprint(t.Size) {
				return false
			}
		default:
			return false
		}
	}
	return true
}
