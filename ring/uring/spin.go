//go:build linux

package uring

import "time"

// spinLooks is how often the loop looks at its sources between two looks at the clock.
const spinLooks = 8

// lookOut comes before a wait, for a handler that polls: it spins as long as the handler
// wants and nothing happens, and then has it say whether the loop may sleep. It returns
// what enter is to be called with.
func (l *Loop) lookOut(wait time.Duration) (_ time.Duration, idle bool) {
	spin := min(l.poller.Spin(), wait)
	if spin > 0 && !l.kernel.submitted() {
		return noWait, true // What is prepared must not wait: first a turn that does nothing else.
	}
	for began := time.Now(); ; {
		for range spinLooks {
			switch {
			case l.poller.Ready():
				// The kernel is asked only if it has something: without connections to serve
				// no turn costs a system call.
				return noWait, l.kernel.hasNews()
			case l.kernel.hasNews() && !l.rumour:
				// The kernel may raise its flag just after it has done what the flag is about:
				// who has asked once in vain believes no flag before the next completion.
				l.rumour = true
				return noWait, true
			case l.called():
				return noWait, true
			}
		}
		if time.Since(began) >= spin {
			break
		}
	}
	if !l.poller.Sleep() {
		return noWait, l.kernel.hasNews()
	}
	return wait, true
}
