package bench

import (
	"context"
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"causalmesh/tools/internal/admin"
)

// suspend stops the system's processes, so that they do not disturb while another
// system is measured: an idle ring sends heartbeats.
func (t *target) suspend() error { return t.signal(syscall.SIGSTOP) }

// resume lets them go on, and waits until a ring is ready. What a node answers first may be from
// before the tick in which it notices how long it has not heard of the others, so each is
// asked twice.
func (t *target) resume(ctx context.Context) error {
	if err := t.signal(syscall.SIGCONT); err != nil || t.ring == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := t.ready(ctx)
		if err == nil {
			err = t.ready(ctx)
		}
		if err == nil {
			return t.rest(ctx)
		}
		if ended := pause(ctx, pollEvery); ended != nil {
			return errors.Join(ended, err)
		}
	}
}

func (t *target) signal(s syscall.Signal) error {
	var errs []error
	for _, id := range t.processes() {
		errs = append(errs, id.Signal(s))
	}
	return errors.Join(errs...)
}

// ready asks all nodes of a ring once whether they are ready.
func (t *target) ready(ctx context.Context) error {
	for _, n := range t.ring.Nodes {
		if err := admin.Ready(ctx, n.Admin); err != nil {
			return err
		}
	}
	return nil
}

// account is how much CPU time the machine and an experiment have used so far.
type account struct {
	machine float64 // in ticks, and
	all     float64 // of how many
	ours    time.Duration
	at      time.Time
}

func takeAccount(targets []*target) (a account, err error) {
	a.at = time.Now()
	idle, all, err := processorTime()
	if err != nil {
		return a, err
	}
	a.machine, a.all = all-idle, all
	for _, t := range targets {
		if t.borrowed {
			continue
		}
		used, err := cpu(t.processes()...)
		if err != nil {
			return a, err
		}
		a.ours += used
	}
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			return a, err
		}
		a.ours += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return a, nil
}

// others is the share of all processors that others have used since before.
func (a *account) others(before account, processors int) float64 {
	all := a.all - before.all
	if all == 0 {
		return 0
	}
	ours := (a.ours - before.ours).Seconds() / (a.at.Sub(before.at).Seconds() * float64(processors))
	return max(0, (a.machine-before.machine)/all-ours)
}
