package bpf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// DefaultOutlier is from which total on a request is an outlier, unless SetOutlier says
// otherwise.
const DefaultOutlier = 10 * time.Millisecond

// outliersEvery is the longest that Next notices the end of its ctx late.
const outliersEvery = 100 * time.Millisecond

// Outlier are requests of a kind that took long. They came with one receive and were answered
// by one send. Times are in ns; zero is one that is not known.
type Outlier struct {
	At         time.Duration // when they were answered, by the monotonic clock
	Connection uint64        // as the daemon's loop numbers it
	Kind       int
	Count      int
	Key        uint64 // a hash of the key of one of them (causal.KeyHash); 0: not known
	Queue      time.Duration
	Service    time.Duration
	// Send alone is known of replies that a socket did not take at once, once it has.
	Send time.Duration
}

// Outliers reads the outliers of a node. Each is read once, whoever does; what nobody
// reads is dropped and counted.
type Outliers struct {
	m *ebpf.Map
	r *ringbuf.Reader
	// left is how many there may have been when Next was first told to end: who reads more slowly
	// than they come would never be done.
	left int
}

// OpenOutliers is for one reader at a time. It is ErrOff if the node has no probes.
func OpenOutliers(root, node string) (*Outliers, error) {
	f := folderOf(root, node)
	if err := f.there(); err != nil {
		return nil, err
	}
	m, err := ebpf.LoadPinnedMap(f.mapped(requestsMapOutliers), nil)
	if err != nil {
		return nil, damaged(f.mapped(requestsMapOutliers), err)
	}
	r, err := ringbuf.NewReader(m)
	if err != nil {
		_ = m.Close()
		return nil, damaged(f.mapped(requestsMapOutliers), err)
	}
	return &Outliers{m, r, int(m.MaxEntries()) / int(unsafe.Sizeof(requestsCmOutlier{}))}, nil
}

// Close lets go of them.
func (o *Outliers) Close() {
	_ = o.r.Close()
	_ = o.m.Close()
}

// Next waits for the next one until ctx ends. With a ctx that has ended it returns what is
// there, and then that ctx's error.
func (o *Outliers) Next(ctx context.Context) (Outlier, error) {
	record, err := o.read(ctx)
	if err != nil {
		return Outlier{}, err
	}
	var raw requestsCmOutlier
	if len(record.RawSample) < int(unsafe.Sizeof(raw)) {
		return Outlier{}, fmt.Errorf("%w: an outlier of %d bytes", ErrPins, len(record.RawSample))
	}
	raw = *(*requestsCmOutlier)(unsafe.Pointer(unsafe.SliceData(record.RawSample)))
	return Outlier{
		At: time.Duration(raw.At), Connection: raw.Connection, Kind: int(raw.Kind), Count: int(raw.Count), Key: raw.Key,
		Queue: time.Duration(raw.Queue), Service: time.Duration(raw.Service), Send: time.Duration(raw.Send),
	}, nil
}

// read looks at ctx every now and then: nothing else ends a Reader's wait but its deadline.
func (o *Outliers) read(ctx context.Context) (ringbuf.Record, error) {
	for {
		ended := ctx.Err()
		deadline := time.Now()
		if ended == nil {
			deadline = deadline.Add(outliersEvery)
		} else if o.left--; o.left < 0 {
			return ringbuf.Record{}, ended
		}
		o.r.SetDeadline(deadline)
		if record, err := o.r.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
			return record, err
		}
		if ended != nil {
			return ringbuf.Record{}, ended
		}
	}
}

// SetOutlier says from which total on requests of a node are outliers, from now on; none are
// with zero.
func SetOutlier(root, node string, least time.Duration) error {
	f := folderOf(root, node)
	if err := f.there(); err != nil {
		return err
	}
	m, err := ebpf.LoadPinnedMap(f.mapped(requestsMapSettings), nil)
	if err != nil {
		return damaged(f.mapped(requestsMapSettings), err)
	}
	defer func() { _ = m.Close() }()
	return setOutlier(m, least)
}

func setOutlier(settings *ebpf.Map, least time.Duration) error {
	return settings.Put(uint32(0), &requestsCmSettings{OutlierNs: uint64(least)})
}
