package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"causalmesh/clientlib"
	"causalmesh/daemon/child"
)

// Processes that are killed and stopped, on either side of the shared memory.

// killsVariable sets how many clients TestKilledClients kills.
const (
	killsVariable = "CAUSALMESH_TEST_KILLS"
	defaultKills  = 1000
	killsAtOnce   = 4
)

// playWorker reads and writes, values of all sizes, until it is killed. It says when it has
// begun.
func playWorker() error {
	client, err := clientlib.Dial(context.Background(), os.Getenv(targetVariable), clientlib.WithTimeout(within))
	if err != nil {
		return err
	}
	fmt.Println("works")
	failed := make(chan error)
	for range 3 {
		go func() { failed <- work(context.Background(), client) }()
	}
	return <-failed
}

var errTorn = errors.New("a value that nobody has written")

// work does operations until one fails or ctx ends, and checks what it reads: in a value, all
// bytes say how long it is.
func work(ctx context.Context, client *clientlib.Client) error {
	s := client.Session()
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	value, buf := make([]byte, 600<<10), []byte(nil)
	for ctx.Err() == nil {
		n := 1 + r.IntN(64)
		if r.IntN(16) == 0 {
			n = r.IntN(len(value))
		}
		key := fmt.Sprint("w", r.IntN(50))
		var err error
		switch r.IntN(4) {
		case 0:
			for i := range n {
				value[i] = byte(n)
			}
			err = s.Write(ctx, key, value[:n])
		case 1:
			var items []clientlib.Item
			items, err = s.ReadMany(ctx, key, "w0", "w1")
			for _, item := range items {
				if torn(item.Value) {
					return fmt.Errorf("%s: %w", item.Key, errTorn)
				}
			}
		default:
			if buf, _, err = s.ReadInto(ctx, key, buf); err == nil && torn(buf) {
				return fmt.Errorf("%s: %w", key, errTorn)
			}
		}
		if err != nil && !errors.Is(err, clientlib.ErrOverloaded) && !errors.Is(err, clientlib.ErrTooLarge) {
			return err
		}
	}
	return nil
}

// torn reports whether a value is not one that work writes.
func torn(b []byte) bool { return bytes.Count(b, []byte{byte(len(b))}) != len(b) }

// witness is a client that has to be served all the while.
type witness struct {
	scheme string
	served atomic.Int64
	cancel context.CancelFunc
	done   chan error
}

// witnesses starts clients of node i, one over each way that is given.
func (c *cluster) witnesses(i int, ways ...string) []*witness {
	var all []*witness
	for _, scheme := range ways {
		client := c.dial(i, scheme)
		ctx, cancel := context.WithCancel(context.Background())
		w := &witness{scheme: scheme, cancel: cancel, done: make(chan error, 1)}
		go func() {
			defer client.Close()
			w.done <- w.run(ctx, client)
		}()
		c.t.Cleanup(cancel)
		all = append(all, w)
	}
	return all
}

func (w *witness) run(ctx context.Context, client *clientlib.Client) error {
	s := client.Session()
	key := "witness " + w.scheme
	for i := 0; ctx.Err() == nil; i++ {
		want := strconv.Itoa(i)
		if err := s.Write(context.Background(), key, []byte(want)); err != nil {
			return err
		}
		got, _, err := s.Read(context.Background(), key)
		if err != nil || string(got) != want {
			return fmt.Errorf("read %q for %s, %v", got, want, err)
		}
		w.served.Add(1)
	}
	return nil
}

// goOn waits until each witness has been served anew.
func goOn(t *testing.T, all []*witness) {
	t.Helper()
	for _, w := range all {
		before := w.served.Load()
		eventually(t, "others are served over "+w.scheme, func() bool { return w.served.Load() > before+1 })
	}
}

// stop ends the witnesses, none of whom may have seen an error.
func stop(t *testing.T, all []*witness) {
	t.Helper()
	for _, w := range all {
		w.cancel()
		select {
		case err := <-w.done:
			if err != nil {
				t.Errorf("a client over %s that does nothing wrong: %v", w.scheme, err)
			}
		case <-time.After(within):
			t.Fatalf("an operation over %s does not end", w.scheme)
		}
	}
}

// Clients are killed at any moment: in the handshake, within a request, while they sleep.
// Others are served meanwhile, and in the end nothing is left of them.
func TestKilledClients(t *testing.T) {
	kills := defaultKills
	if text := os.Getenv(killsVariable); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(killsVariable, err)
		}
	}
	c := startCluster(t, 1, nil)
	before := c.baseline()
	others := c.witnesses(0, "shm", "unix", "direct")
	var all sync.WaitGroup
	for worker := range killsAtOnce {
		all.Go(func() {
			for i := worker; i < kills && !t.Failed(); i += killsAtOnce {
				if err := killOne(schemes[1+i%2]+":"+c.socket(0), i%3 == 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	goOn(t, others)
	attached := c.status(0).Daemon.Attached
	t.Logf("%d processes killed, %d clients attached in all", kills, attached)
	stop(t, others)
	eventually(t, "no client is left", func() bool { return c.status(0).Daemon.Clients == 0 })
	before.eventuallyLeft(t)
	if s := c.status(0).Daemon; s.CorruptRings != 0 || s.Malformed != 0 || int(attached) < kills/2 {
		t.Errorf("counted %+v", s)
	}
}

// killOne starts a client and kills it: soon after its start, or when it works.
func killOne(target string, soon bool) error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	command := other("worker", targetVariable+"="+target)
	command.Stdout = in
	p, err := child.Start(command)
	_ = in.Close()
	if err != nil {
		return err
	}
	defer p.Kill()
	pause := time.Duration(rand.IntN(int(5 * time.Millisecond)))
	if soon {
		pause *= 8
	} else if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "works\n" {
		return fmt.Errorf("a client says %q, %v", line, err)
	}
	time.Sleep(pause) // it is killed at any moment
	select {
	case <-p.Ended():
		said, _ := io.ReadAll(out)
		return fmt.Errorf("a client has ended by itself: %v, %s", p.Err(), said)
	default:
		return nil
	}
}

// Whatever a client does when its node is killed ends with an error that says so, in time.
// The same workflows go on at the other nodes.
func TestKilledNode(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			c := newCluster(t, 3, nil)
			c.start(0)
			c.start(1)
			p := c.startProcess(2)
			client, elsewhere := c.dial(2, scheme), c.dial(0, "direct")
			s := client.Session()
			put(t, s, "k", "v")
			settled(t, s)
			if fetch(t, s, "k") != "v" {
				t.Fatal("read something else")
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			working := make(chan error, 4)
			for range cap(working) {
				go func() { working <- work(ctx, client) }()
			}
			eventually(t, "they work", func() bool { return fetch(t, elsewhere.Session(), "w1") != "-" })
			p.Kill()
			killed := time.Now()
			// Operations try to connect again for as long as they may. A read that says that
			// there is no node was not answered from its table, and none is after it.
			said := 0
			eventually(t, "reads say that there is no node", func() bool {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
				defer cancel()
				_, _, err := s.Read(ctx, "k")
				switch {
				case errors.Is(err, clientlib.ErrDisconnected):
					if said++; said == 1 {
						t.Logf("a read says so after %v", time.Since(killed))
					}
				case err == nil && said > 0:
					t.Fatal("the table of a dead node was read")
				case err != nil && !errors.Is(err, context.DeadlineExceeded):
					t.Fatalf("a read after the end: %v", err)
				}
				return said == 20
			})
			// What was under way has heard of the end as well: a context that ends is not all
			// that ends it, unless it has not got as far as the connection.
			cancel()
			for range cap(working) {
				select {
				case err := <-working:
					if err != nil && !errors.Is(err, clientlib.ErrDisconnected) && !strings.Contains(err.Error(), "does not read") {
						t.Errorf("an operation ended with %v", err)
					}
				case <-time.After(within):
					t.Fatal("an operation does not end")
				}
			}
			for i := range 2 {
				if got := fetch(t, resume(t, c.dial(i, scheme), s), "k"); got != "v" {
					t.Errorf("at node %d: %s", i, got)
				}
			}
		})
	}
}

// A node that comes back is another life: its clients connect again by themselves, old
// contexts are refused, and each operation gets its own reply.
func TestRestartedNodeOverEveryWay(t *testing.T) {
	const lives = 4
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			c := newCluster(t, 1, nil)
			p := c.startProcess(0)
			client := c.dial(0, scheme)
			old := client.Session()
			put(t, old, "k", "old")
			settled(t, old)
			// Each has begun something large when the node is killed.
			large := strings.Repeat("x", 1<<20)
			var writers []*clientlib.Session
			for range 8 {
				writers = append(writers, client.Session())
			}
			for life := range lives {
				ctx, cancel := context.WithCancel(context.Background())
				var busy sync.WaitGroup
				for i, s := range writers {
					busy.Go(func() {
						for ctx.Err() == nil {
							err := s.Write(ctx, fmt.Sprint("large", i), []byte(large))
							if err == nil || errors.Is(err, clientlib.ErrOverloaded) {
								continue
							}
							if !errors.Is(err, clientlib.ErrUnknownOutcome) && !errors.Is(err, clientlib.ErrDisconnected) &&
								!errors.Is(err, context.Canceled) && !errors.Is(err, clientlib.ErrEpoch) {
								t.Errorf("life %d: %v", life, err)
							}
							return
						}
					})
				}
				eventually(t, "they write", func() bool { return fetch(t, client.Session(), "large3") != "-" })
				p.Kill()
				cancel()
				busy.Wait()
				p = c.startProcess(0)
				eventually(t, "an old context is refused", func() bool {
					_, _, err := old.Read(context.Background(), "k")
					if err != nil && !errors.Is(err, clientlib.ErrEpoch) {
						t.Fatalf("life %d: an old context: %v", life, err)
					}
					return err != nil // until the client has heard of the end, the old table is as good as ever
				})
				for i, s := range writers {
					if _, _, err := s.Read(context.Background(), "k"); err != nil && !errors.Is(err, clientlib.ErrEpoch) {
						t.Fatalf("life %d: session %d: %v", life, i, err)
					}
					writers[i] = client.Session()
				}
				if got := fetch(t, client.Session(), "k"); got != "-" {
					t.Fatalf("life %d: %s from an earlier life", life, got)
				}
				old = client.Session()
				put(t, old, "k", fmt.Sprint("life ", life))
				settled(t, old)
			}
		})
	}
}

// A node that is stopped keeps its socket open: what needs it ends with its context, its
// table is not read for much longer, and when it goes on all goes on.
func TestStoppedNode(t *testing.T) {
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			c := newCluster(t, 1, nil)
			p := c.startProcess(0)
			client := c.dial(0, scheme)
			s := client.Session()
			put(t, s, "k", "v")
			settled(t, s)
			for range 2 {
				if fetch(t, s, "k") != "v" {
					t.Fatal("read something else")
				}
				if err := p.Signal(syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				stopped := time.Now()
				// One alone may only have been slow.
				unanswered := 0
				eventually(t, "reads are not answered any more", func() bool {
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
					defer cancel()
					_, _, err := s.Read(ctx, "k")
					if err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Fatalf("a read: %v", err)
					}
					if unanswered++; err == nil {
						unanswered = 0
					}
					return unanswered == 10
				})
				t.Logf("reads went on for %v", time.Since(stopped))
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
				err := s.Write(ctx, "other", make([]byte, 900<<10)) // more than a ring holds
				cancel()
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a write: %v", err)
				}
				// These wait until it goes on.
				waiting := make(chan error, 8)
				for range cap(waiting) {
					go func() {
						value, _, err := client.Session().Read(context.Background(), "k")
						if err == nil && string(value) != "v" {
							err = fmt.Errorf("read %q", value)
						}
						waiting <- err
					}()
				}
				if err := p.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				for range cap(waiting) {
					if err := <-waiting; err != nil {
						t.Error(err)
					}
				}
				put(t, s, "after", "1")
				settled(t, s)
			}
		})
	}
}
