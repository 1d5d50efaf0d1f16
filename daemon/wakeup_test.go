package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"causalmesh/clientlib"
)

// A wake-up that is lost is an operation that does not end.

const (
	wakeupSessions = 16
	wakeupActs     = 6 // of a session, for each number of processors
)

// Many sessions on one client in shared memory, with pauses so that both sides go to sleep
// and are woken all the time, and contexts that end at any moment. Every operation ends:
// with its context, or else long before the client's timeout.
func TestNoWakeupIsLost(t *testing.T) {
	c := startCluster(t, 1, nil)
	put(t, c.dial(0, "unix").Session(), "large", strings.Repeat("x", 700<<10))
	for _, scheme := range []string{"shm", "direct"} {
		client := c.dial(0, scheme)
		for _, processors := range []int{1, 2, 4} {
			t.Run(fmt.Sprint(scheme, ", ", processors), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
				var all sync.WaitGroup
				for i := range wakeupSessions {
					all.Go(func() {
						h := restless{client: client, s: client.Session(), random: rand.New(rand.NewPCG(uint64(i), 7)), key: fmt.Sprint("k", i)}
						for range wakeupActs {
							if err := h.act(); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
			})
		}
		if s := c.status(0).Daemon; s.Unread != 0 || s.CorruptRings != 0 {
			t.Errorf("counted %+v", s)
		}
	}
	// Nobody had to connect again, which would have hidden a lost wake-up.
	if n := c.status(0).Daemon.Welcomed; n != 3 {
		t.Errorf("%d connections for 3 clients", n)
	}
}

// restless is a session that does anything, in bursts.
type restless struct {
	client *clientlib.Client
	s      *clientlib.Session
	random *rand.Rand
	key    string
	buf    []byte
}

// act does a few operations. Most have time enough; to some that is not said.
func (r *restless) act() error {
	if r.random.IntN(4) == 0 {
		time.Sleep(time.Duration(r.random.IntN(int(2 * time.Millisecond)))) // both sides fall asleep
	}
	for range 1 + r.random.IntN(20) {
		ctx, cancel := context.Background(), context.CancelFunc(func() {})
		hasty := r.random.IntN(4) == 0
		if hasty {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(r.random.IntN(int(300*time.Microsecond))))
		}
		err := r.one(ctx)
		cancel()
		switch {
		case err == nil, errors.Is(err, clientlib.ErrOverloaded):
		case hasty && errors.Is(err, context.DeadlineExceeded):
			if errors.Is(err, clientlib.ErrUnknownOutcome) && r.random.IntN(2) == 0 {
				if err := r.s.Retry(context.Background()); err != nil {
					return fmt.Errorf("retry: %w", err)
				}
			}
		default:
			return err
		}
	}
	return nil
}

func (r *restless) one(ctx context.Context) (err error) {
	switch r.random.IntN(12) {
	case 0, 1, 2, 3:
		r.buf, _, err = r.s.ReadInto(ctx, r.key, r.buf)
	case 4:
		r.buf, _, err = r.s.ReadInto(ctx, "large", r.buf)
	case 5:
		_, err = r.s.ReadMany(ctx, r.key, "large", "k0")
	case 6:
		err = r.s.Write(ctx, r.key, make([]byte, r.random.IntN(600<<10)))
	case 7:
		err = r.s.Sync(ctx)
	case 8:
		err = r.s.Delete(ctx, r.key)
	case 9:
		r.s = r.client.Session() // reads with nothing known
	default:
		err = r.s.Write(ctx, r.key, []byte("small"))
	}
	return err
}
