package bpf

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

func pointer(name string) btf.FuncParam {
	return btf.FuncParam{Type: &btf.Pointer{Target: &btf.Const{Type: &btf.Struct{Name: name}}}}
}

func number(bytes uint32) btf.FuncParam {
	return btf.FuncParam{Type: &btf.Typedef{Name: "u", Type: &btf.Int{Size: bytes}}}
}

var anything = btf.FuncParam{Type: &btf.Pointer{Target: &btf.Void{}}}

// Kernels of several ages, by what their sources say of the tracepoints.
var kernels = map[string]map[string][]btf.FuncParam{
	"6.1": {
		"io_uring_cqring_wait": {anything, number(4)},
		"io_uring_task_add":    {pointer("io_kiocb"), number(4)},
		"io_uring_complete":    {anything, anything, number(8), number(4), number(4), number(8), number(8)},
		"io_uring_submit_sqe":  {pointer("io_kiocb"), number(1)},
	},
	"6.12": {
		"io_uring_cqring_wait": {anything, number(4)},
		"io_uring_task_add":    {pointer("io_kiocb"), number(4)},
		"io_uring_complete":    {anything, anything, number(8), number(4), number(4), number(8), number(8)},
		"io_uring_submit_req":  {pointer("io_kiocb")},
		"sock_send_length":     {anything, number(4), number(4)},
	},
	"6.18": {
		"io_uring_cqring_wait": {anything, number(4)},
		"io_uring_task_add":    {pointer("io_kiocb"), number(4)},
		"io_uring_complete":    {pointer("io_ring_ctx"), anything, pointer("io_uring_cqe")},
		"io_uring_submit_req":  {pointer("io_kiocb")},
		"sock_send_length":     {anything, number(4), number(4)},
	},
	"5.15": { // too old
		"io_uring_cqring_wait": {anything, number(4)},
		"io_uring_task_add":    {anything, number(1), number(8), number(4)},
		"io_uring_complete":    {anything, number(8), number(4), number(4)},
		"io_uring_submit_sqe":  {anything, anything, number(1), number(8), number(4), number(1), number(1)},
	},
	"none": {},
}

func TestVariants(t *testing.T) {
	for _, c := range []struct{ kernel, received, answered, sent, missing string }{
		{"6.1", "on_complete_values", "on_submit_sqe", "", ""},
		{"6.12", "on_complete_values", "on_submit_req", "on_sent", ""},
		{"6.18", "on_complete_cqe", "on_submit_req", "on_sent", ""},
		{"5.15", "", "", "", "ready received answered"},
		{"none", "", "", "", "wait ready received answered"},
	} {
		v, err := choose(func(tracepoint string) ([]btf.FuncParam, bool) {
			p, ok := kernels[c.kernel][tracepoint]
			return p, ok
		})
		if v[onReceived] != c.received || v[onAnswered] != c.answered || v[onSent] != c.sent {
			t.Errorf("%s: %v", c.kernel, v)
		}
		missing := strings.Fields(c.missing)
		if (err == nil) != (len(missing) == 0) {
			t.Errorf("%s: %v", c.kernel, err)
		}
		if err == nil {
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(missing) {
			t.Errorf("%s: %d lines, want %d: %v", c.kernel, len(lines), len(missing), err)
			continue
		}
		for i, name := range missing {
			if !strings.Contains(lines[i], name) || !strings.Contains(lines[i], "Linux 6.1") {
				t.Errorf("%s: %q does not tell of %s", c.kernel, lines[i], name)
			}
		}
	}
}
