package load

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm wakes a goroutine after a time. The runtime's timers are up to a millisecond late
// in a process that is idle otherwise, as it sleeps for whole milliseconds; that would be
// in all latencies of an open loop. So that has a timer of the kernel's, which the runtime
// waits for as it does for a socket.
type alarm struct {
	stopped <-chan struct{}
	coarse  *time.Timer
	kernel  *os.File // nil: the coarse one has to do
	fd      int      // of kernel
	expired [8]byte  // what is read from it
}

func newAlarm(stopped <-chan struct{}) *alarm {
	return &alarm{stopped: stopped, coarse: time.NewTimer(0)}
}

// sharpen makes the alarm exact, until close. Where there are no descriptors left it stays
// as it is, which shows in the lag that is reported.
func (a *alarm) sharpen() {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err == nil {
		a.fd, a.kernel = fd, os.NewFile(uintptr(fd), "timer")
	}
}

func (a *alarm) close() {
	if a.kernel != nil {
		_ = a.kernel.Close()
		a.kernel = nil
	}
}

// wait waits for d, or until the load is stopped early: then it returns false.
func (a *alarm) wait(d time.Duration) bool {
	if a.kernel == nil {
		return a.waitCoarse(d)
	}
	for until := time.Now().Add(d); d > 0; d = time.Until(until) {
		if a.waitKernel(min(d, pollAtMost)) != nil {
			a.close()
			return a.waitCoarse(d)
		}
		select {
		case <-a.stopped:
			return false
		default:
		}
	}
	return true
}

func (a *alarm) waitCoarse(d time.Duration) bool {
	a.coarse.Reset(d)
	select {
	case <-a.coarse.C:
		return true
	case <-a.stopped:
		a.coarse.Stop()
		return false
	}
}

func (a *alarm) waitKernel(d time.Duration) error {
	once := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	if err := unix.TimerfdSettime(a.fd, 0, &once, nil); err != nil {
		return err
	}
	_, err := a.kernel.Read(a.expired[:])
	return err
}
