package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"causalmesh/tools/internal/process"
)

// Down ends the cluster in a folder and returns its last state, with how each
// process ended. What takes longer than within is killed. ErrUnclean says that
// something was killed, or ended otherwise than well.
func Down(ctx context.Context, dir string, within time.Duration) (*State, error) {
	return down(ctx, dir, within, min(within, registersWithin))
}

// down is Down, which waits so long for a keeper that is not on record yet.
func down(ctx context.Context, dir string, within, registers time.Duration) (*State, error) {
	s, err := Read(dir)
	if err != nil {
		return nil, err
	}
	var faults []error
	unclean := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: %s", ErrUnclean, fmt.Sprintf(format, args...)))
	}
	keeper, err := registered(ctx, dir, registers)
	if err != nil {
		return s, err
	}
	switch kept, err := stopKeeper(ctx, keeper, within); {
	case err != nil:
		return s, err
	case kept == keeperGone:
		unclean("the keeper had ended before, and its processes with it; see %s", filepath.Join(s.Dir, keeperLog))
	case kept == keeperKilled:
		unclean("not all processes had ended after %v, and were killed", within)
	}
	if last, err := Read(dir); err == nil {
		s = last
	}
	for _, m := range s.members() {
		// The kernel has ended it with the keeper; that is made certain here.
		if m.Process != nil {
			if err := kill(ctx, *m.Process); err != nil {
				return s, fmt.Errorf("%s: %w", m.Name, err)
			}
		}
		switch {
		case m.Exit == nil && m.Process != nil:
			unclean("%s: nobody saw how it ended; see %s", m.Name, m.Log)
		case m.Exit == nil:
		case !m.Exit.Well:
			unclean("%s: %s; see %s, which ends with\n%s", m.Name, m.Exit.How, m.Log, tail(m.Log, 1))
		case !m.Exit.Asked:
			unclean("%s ended by itself at %s; see %s", m.Name, m.Exit.At.Format(time.DateTime), m.Log)
		}
	}
	return s, errors.Join(append(faults, s.remove())...)
}

// How a keeper ended.
type keeperEnd int

const (
	keeperEnded keeperEnd = iota
	keeperGone            // before it was asked to
	keeperKilled
)

// registersWithin is how long a keeper may take from its start until it is on
// record.
const registersWithin = 3 * time.Second

// registered returns the keeper. If there is none on record, it may be about to
// start; nil is that of an Up which was ended before it had started one.
func registered(ctx context.Context, dir string, within time.Duration) (*process.Identity, error) {
	for deadline := time.Now().Add(within); ; {
		s, err := Read(dir)
		if err != nil {
			return nil, err
		}
		if s.Keeper != nil || time.Now().After(deadline) {
			return s.Keeper, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}

// stopKeeper asks the keeper to end, and waits.
func stopKeeper(ctx context.Context, keeper *process.Identity, within time.Duration) (keeperEnd, error) {
	if keeper == nil {
		return keeperEnded, nil
	}
	err := keeper.Signal(syscall.SIGTERM)
	if errors.Is(err, process.ErrGone) {
		return keeperGone, nil
	}
	if err != nil {
		return 0, err
	}
	waitCtx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := awaitEnd(waitCtx, *keeper); err == nil {
		return keeperEnded, nil
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("the cluster still ends: %w; meshctl cluster down waits again", err)
	}
	return keeperKilled, kill(ctx, *keeper)
}

// killWithin is how long the kernel may take to end a process.
const killWithin = 10 * time.Second

// kill ends a process, if it has not ended, and waits until it has.
func kill(ctx context.Context, id process.Identity) error {
	if err := id.Signal(syscall.SIGKILL); err != nil {
		if errors.Is(err, process.ErrGone) {
			return nil
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, killWithin)
	defer cancel()
	return awaitEnd(ctx, id)
}

func awaitEnd(ctx context.Context, id process.Identity) error {
	for id.Runs() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d still runs: %w", id.PID, ctx.Err())
		case <-time.After(pollEvery):
		}
	}
	return nil
}
