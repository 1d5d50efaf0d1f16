package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"causalmesh/bpf"
)

// Outlier is a request that took long, or several that came and were answered together.
// Times are in ns; 0 is one that is not known.
type Outlier struct {
	Node       string    `json:"node"`
	Time       time.Time `json:"time"` // of the answer
	Operation  string    `json:"operation"`
	Requests   int       `json:"requests"`
	Connection uint64    `json:"connection"`         // as the node's loop numbers it
	KeyHash    string    `json:"key_hash,omitempty"` // of one of them: see meshctl hash
	Queue      int64     `json:"queue_ns"`
	Service    int64     `json:"service_ns"`
	Send       int64     `json:"send_ns"`
}

// Outliers passes on the outliers of nodes that nobody has read yet, and, until ctx ends,
// those that come. With least above 0 it says first from which total on requests are outliers.
// It returns nil when ctx has ended.
func Outliers(ctx context.Context, root string, addresses []string, least time.Duration, pass func(*Outlier) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex // calls of pass
	var all sync.WaitGroup
	errs := make([]error, len(addresses))
	for i, address := range addresses {
		r, node, err := openOutliers(ctx, root, address, least)
		if err != nil {
			cancel(err)
			errs[i] = err
			break
		}
		all.Go(func() {
			defer r.Close()
			errs[i] = readOutliers(ctx, r, node, func(o *Outlier) error {
				mu.Lock()
				defer mu.Unlock()
				return pass(o)
			})
			if errs[i] != nil {
				cancel(errs[i])
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func openOutliers(ctx context.Context, root, address string, least time.Duration) (*bpf.Outliers, string, error) {
	// The end of ctx says how long to read, not how long a node may take to answer.
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), findTimeout)
	defer cancel()
	t, err := Find(ask, address)
	if err != nil {
		return nil, "", err
	}
	p, err := bpf.OpenFor(root, t)
	if err != nil {
		return nil, "", needOn(err, &t, address)
	}
	p.Close()
	if least > 0 {
		if err := bpf.SetOutlier(root, t.Node, least); err != nil {
			return nil, "", err
		}
	}
	r, err := bpf.OpenOutliers(root, t.Node)
	return r, t.Node, err
}

// findTimeout is how long a node may take to say who it is.
const findTimeout = 5 * time.Second

func readOutliers(ctx context.Context, r *bpf.Outliers, node string, pass func(*Outlier) error) error {
	for {
		o, err := r.Next(ctx)
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return nil
			}
			return err
		}
		told := Outlier{
			Node: node, Time: bpf.WallTime(o.At), Operation: bpf.KindName(o.Kind), Requests: o.Count, Connection: o.Connection,
			Queue: int64(o.Queue), Service: int64(o.Service), Send: int64(o.Send),
		}
		if told.Operation == "" {
			continue // messages between nodes
		}
		if o.Key != 0 {
			told.KeyHash = fmt.Sprintf("%016x", o.Key)
		}
		if err := pass(&told); err != nil {
			return err
		}
	}
}

const outlierColumns = "%-12s  %4s  %-9s  %8s  %10s  %-16s  %10s  %10s  %10s\n"

// WriteOutlierHead writes the line above those of WriteOutlier.
func WriteOutlierHead(w io.Writer) error {
	_, err := fmt.Fprintf(w, outlierColumns, "TIME", "NODE", "OPERATION", "REQUESTS", "CONNECTION", "KEY HASH", "QUEUE µs", "SERVICE µs", "SEND µs")
	return err
}

// WriteOutlier writes a line.
func WriteOutlier(w io.Writer, o *Outlier) error {
	hash := o.KeyHash
	if hash == "" {
		hash = "-"
	}
	part := func(ns int64) string {
		if ns == 0 {
			return "-"
		}
		return micros(uint64(ns))
	}
	_, err := fmt.Fprintf(w, outlierColumns, o.Time.Format("15:04:05.000"), o.Node, o.Operation, fmt.Sprint(o.Requests), fmt.Sprint(o.Connection),
		hash, part(o.Queue), part(o.Service), part(o.Send))
	return err
}
