package check

import (
	"sync"

	"causalmesh/causal"
)

// Recorder records a history from many goroutines. Only Start takes a lock:
// each process is appended to by the one goroutine that it belongs to.
type Recorder struct {
	mu      sync.Mutex
	history History
}

// NewRecorder returns a recorder of operations on the keys of these names.
func NewRecorder(keys []string) *Recorder {
	return &Recorder{history: History{Keys: keys}}
}

// Start adds a process for the calling goroutine to append to. A branch is
// started by the goroutine of its parent, since that alone may ask for the
// parent's Position.
func (r *Recorder) Start(name string, epoch causal.Epoch, parents ...Position) *Process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.history.Start(name, epoch, parents...)
}

// History returns what was recorded. All goroutines that append must have
// stopped; the caller then adds Foreign, Final and CleanRestarts.
func (r *Recorder) History() *History {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &r.history
}
