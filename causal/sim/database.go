package sim

import (
	"fmt"

	"causalmesh/causal"
)

// database stands for the Redis below, with the rules of its scripts.
type database struct {
	epoch   causal.Epoch // fence
	records map[string]*record
}

// record is a key in the database: what programs see there, and what a home
// noted beside it when it last flushed.
type record struct {
	content *causal.Version // value or, as a tombstone, none; never nil
	flushed *causal.Version // nil before first sight
}

func newDatabase() *database { return &database{records: map[string]*record{}} }

// foreign is another program's write: a value, or nil for a delete.
func (d *database) foreign(key string, value []byte) {
	r := d.records[key]
	if r == nil {
		if value == nil {
			return
		}
		r = &record{}
		d.records[key] = r
	}
	r.content = &causal.Version{Key: []byte(key), Value: value, Tombstone: value == nil}
}

// purge drops a tombstone whose grace is over.
func (d *database) purge(key string) error {
	if r := d.records[key]; r == nil || r.flushed == nil || !r.flushed.Tombstone || !r.content.Tombstone {
		return fmt.Errorf("the database has no tombstone for %s", key)
	}
	delete(d.records, key)
	return nil
}

// changed reports whether another program wrote the key since the last flush.
func (r *record) changed(now causal.Time) bool {
	if r.flushed.Deadline != 0 && now >= r.flushed.Deadline && r.content.SameContent(r.flushed) {
		return false
	}
	return !r.content.SameContent(r.flushed)
}

// load is the load script.
func (d *database) load(req causal.LoadRequest, now causal.Time) causal.LoadResult {
	res := causal.LoadResult{ID: req.ID, Key: req.Key, Status: causal.LoadAbsent}
	r := d.records[string(req.Key)]
	if r == nil {
		return res
	}
	if r.flushed == nil {
		if r.content.Tombstone {
			return res
		}
		claimed := *r.content
		claimed.Stamp = causal.ForeignStamp
		r.flushed = &claimed
	}
	if r.changed(now) {
		res.Status, res.Version = causal.LoadForeign, *r.content
		res.Version.Stamp = r.flushed.Stamp
		return res
	}
	res.Status, res.Version = causal.LoadFound, *r.flushed
	if res.Version.Gone(now) {
		res.Version.Value, res.Version.Tombstone = nil, true
	}
	return res
}

// flush is the flush script.
func (d *database) flush(req causal.FlushRequest, epoch causal.Epoch, now causal.Time) causal.FlushResult {
	v := req.Version
	res := causal.FlushResult{Key: v.Key, Stamp: v.Stamp, Status: causal.FlushDone}
	if epoch < d.epoch {
		res.Status = causal.FlushFenced
		return res
	}
	d.epoch = epoch
	r := d.records[string(v.Key)]
	if r == nil {
		r = &record{content: &causal.Version{Tombstone: true}}
		d.records[string(v.Key)] = r
	}
	known := req.Over != nil && r.content.SameContent(req.Over) || r.content.SameContent(v)
	if r.flushed == nil && !r.content.Tombstone && !known || r.flushed != nil && r.changed(now) && !known {
		res.Status, res.Found = causal.FlushForeign, *r.content
		if r.flushed != nil {
			res.Found.Stamp = r.flushed.Stamp
		}
		return res
	}
	if r.flushed != nil && v.Stamp.Less(r.flushed.Stamp) {
		res.Status, res.Found = causal.FlushSuperseded, *r.flushed
		return res
	}
	r.flushed, r.content = v, v
	return res
}
