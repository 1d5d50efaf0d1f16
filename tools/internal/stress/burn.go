package stress

import (
	"context"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
)

// burnFlag makes the program a load: it then computes until it is killed.
const burnFlag = "-burn"

// burn keeps one processor busy and does not return.
func burn() {
	for n := new(atomic.Uint64); ; n.Add(1) {
	}
}

// load starts n processes that each keep a processor busy until the context ends.
func load(ctx context.Context, n int) (wait func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var all []*exec.Cmd
	wait = func() {
		cancel()
		for _, c := range all {
			_ = c.Wait() // it was killed
		}
	}
	for range n {
		c := exec.CommandContext(ctx, self, burnFlag)
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := c.Start(); err != nil {
			wait()
			return nil, err
		}
		all = append(all, c)
	}
	return wait, nil
}
