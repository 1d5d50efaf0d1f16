package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// ErrEnded: the process has ended already.
var ErrEnded = errors.New("process has ended")

// Process is a program that was started.
type Process struct {
	name    string
	process *os.Process
	ended   chan struct{} // closed when the process has ended
	err     error         // how; to be read once ended is closed
}

// Start runs a command that has not been started. Its output goes where the command
// says: to files, as anything else would need a goroutine for as long as it lives. So does
// whom it runs as.
func Start(command *exec.Cmd) (*Process, error) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig, command.SysProcAttr.Setpgid = syscall.SIGKILL, true
	p := &Process{name: filepath.Base(command.Path), ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The parent that Pdeathsig watches is the thread: it has to live as long as
		// the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		p.process = command.Process
		started <- err
		if err == nil {
			p.err = command.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Path, err)
	}
	return p, nil
}

// PID names the process to the operating system.
func (p *Process) PID() int { return p.process.Pid }

// Ended is closed when the process has ended, for whatever reason.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Err tells how the process ended: nil if it ended well, or has not ended.
func (p *Process) Err() error {
	select {
	case <-p.ended:
		return p.err
	default:
		return nil
	}
}

// Signal sends a signal; ErrEnded says that nobody was there to get it.
func (p *Process) Signal(signal syscall.Signal) error {
	err := p.process.Signal(signal)
	if errors.Is(err, os.ErrProcessDone) {
		err = ErrEnded
	}
	if err != nil {
		return fmt.Errorf("signal %s to %s, pid %d: %w", signal, p.name, p.PID(), err)
	}
	return nil
}

// Kill ends the process at once and waits until it has ended.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.ended
}

// Stop asks the process to end and waits for it. One that takes longer than within
// is killed, and that is an error; so is an exit code other than 0.
func (p *Process) Stop(within time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, ErrEnded) {
		return err
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("%s, pid %d, did not end within %s and was killed", p.name, p.PID(), within)
	}
	if p.err != nil {
		return fmt.Errorf("%s, pid %d: %w", p.name, p.PID(), p.err)
	}
	return nil
}
