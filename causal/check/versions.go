package check

import (
	"slices"

	"causalmesh/causal"
)

// version is one write of one key, by an operation or foreign.
type version struct {
	value     ValueID
	stamp     causal.Stamp // zero if no one has seen it
	dot       causal.Dot
	key       KeyID
	writer    ProcessID // negative for a foreign one
	op        OpIndex
	lastEntry ProcessID // the last process that got an entry for having read it
	outcome   Outcome
	tombstone bool
	required  bool // must survive: see checkEnd
}

type epochDot struct {
	epoch   causal.Epoch
	counter causal.Counter
	origin  causal.ReplicaID
}

type foreignName struct {
	stamp causal.Stamp
	value ValueID
	key   KeyID
}

// foreignKinds says what History.Foreign has of a key.
type foreignKinds struct{ writes, deletes bool }

// goneItem is a read of a version that has no value, so that only its stamp says
// which version it was.
type goneItem struct {
	item *Item
	slot *int32 // where the answer goes
	at   Place
}

// collectWrites fills versions with the writes of all processes, and knows
// which foreign writes there may be.
func (c *Checker) collectWrites() {
	c.versions = c.versions[:0]
	c.byValue, c.byStamp = emptied(c.byValue), emptied(c.byStamp)
	c.foreign, c.declared, c.anyOf = emptied(c.foreign), emptied(c.declared), emptied(c.anyOf)
	for _, p := range c.h.processes {
		for i, o := range p.ops {
			if o.kind == opWrite || o.kind == opDelete {
				c.collectWrite(p, OpIndex(i), o)
			}
		}
	}
	for _, f := range c.h.Foreign {
		if _, taken := c.byValue[f.Value]; taken {
			c.fail(KindMalformed, nowhere, "value %v of %s is both foreign and a session's", f.Value, c.h.keyName(f.Key))
		}
		c.declared[f] = struct{}{}
		of := c.anyOf[f.Key]
		of.writes = of.writes || f.Value != 0
		of.deletes = of.deletes || f.Value == 0
		c.anyOf[f.Key] = of
	}
}

func (c *Checker) collectWrite(p *Process, i OpIndex, o op) {
	it := &p.items[o.first]
	at := Place{Process: p.id, Op: i, Key: it.Key}
	v := int32(len(c.versions))
	c.versions = append(c.versions, version{
		value: it.Value, stamp: it.Stamp, dot: it.Dot, key: it.Key,
		writer: p.id, op: i, lastEntry: -1,
		outcome: o.outcome, tombstone: o.kind == opDelete,
		required: o.outcome == Acknowledged && c.mustLast(p),
	})
	c.resolved[c.itemBase[p.id]+o.first] = v
	if o.kind == opWrite {
		if other, taken := c.byValue[it.Value]; taken {
			c.fail(KindMalformed, at, "%s writes value %v again, after %s", c.nameOp(at), it.Value, c.nameVersion(other))
			return
		}
		c.byValue[it.Value] = v
	}
}

// mustLast reports whether what process p wrote or read must still be there at
// the end of the history.
func (c *Checker) mustLast(p *Process) bool { return c.h.CleanRestarts || p.epoch == c.lastEpoch }

// resolveItems finds the version of everything that was read. Values first:
// they tell the stamps of writes whose reply was lost, and by those the reads
// that found no value are told apart.
func (c *Checker) resolveItems() {
	for v := range c.versions {
		if c.versions[v].outcome != Refused {
			c.claimStamp(int32(v))
		}
	}
	c.gone = c.gone[:0]
	for _, p := range c.h.processes {
		for i, o := range p.ops {
			if o.kind != opRead && o.kind != opReadMany {
				continue
			}
			for j := o.first; j < o.first+o.count; j++ {
				it := &p.items[j]
				at := Place{Process: p.id, Op: OpIndex(i), Key: it.Key}
				c.resolve(it, &c.resolved[c.itemBase[p.id]+j], at)
			}
		}
	}
	c.resolveFinal()
	c.resolveGone()
	for _, p := range c.h.processes {
		if !c.mustLast(p) {
			continue
		}
		base := c.itemBase[p.id]
		for _, o := range p.ops {
			if o.kind != opRead && o.kind != opReadMany {
				continue
			}
			for _, v := range c.resolved[base+o.first : base+o.first+o.count] {
				if v >= 0 {
					c.versions[v].required = true
				}
			}
		}
	}
}

// resolve finds the version of an item that was read, but leaves those without a
// value for resolveGone.
func (c *Checker) resolve(it *Item, slot *int32, at Place) {
	switch it.Seen {
	case SeenNothing:
		*slot = c.resolveNothing(it.Key)
	case SeenValue:
		*slot = c.resolveValue(it, at)
	default:
		*slot = unjudged
		if !it.Stamp.IsZero() {
			c.gone = append(c.gone, goneItem{item: it, slot: slot, at: at})
		}
	}
}

// resolveNothing: where other programs delete, "no version at all" is also what
// such a delete leaves of a value that was never ours. It is taken for that. Where
// a tombstone has been dropped, it may stand for that.
func (c *Checker) resolveNothing(k KeyID) int32 {
	if slices.Contains(c.h.Purged, k) {
		return unjudged
	}
	if len(c.anyOf) > 0 && c.anyOf[k].deletes {
		return c.foreignVersion(&Item{Key: k, Stamp: causal.ForeignStamp})
	}
	return none
}

func (c *Checker) resolveValue(it *Item, at Place) int32 {
	v, ok := c.byValue[it.Value]
	if !ok {
		if _, ok := c.declared[Foreign{Key: it.Key, Value: it.Value}]; ok {
			return c.foreignVersion(it)
		}
		c.fail(KindNowhere, at, "%s found %v, which was never written to this key", c.nameOp(at), it.Value)
		return unjudged
	}
	w := &c.versions[v]
	switch {
	case w.outcome == Refused:
		c.fail(KindRefused, at, "%s found %v, but %s was refused", c.nameOp(at), it.Value, c.nameVersion(v))
		return unjudged
	case w.key != it.Key:
		c.fail(KindWrongKey, at, "%s found %v, but that is %s", c.nameOp(at), it.Value, c.nameVersion(v))
		return unjudged
	}
	c.learn(v, it, at)
	return v
}

// resolveGone finds the versions of the reads that found no value.
func (c *Checker) resolveGone() {
	unknown := c.gone[:0]
	for _, g := range c.gone {
		v, ok := c.byStamp[g.item.Stamp]
		if !ok {
			unknown = append(unknown, g)
			continue
		}
		*g.slot = c.resolveStamp(g, v)
	}
	if len(unknown) == 0 {
		return
	}
	c.unstamped = c.unstamped[:0]
	for v := range c.versions {
		if w := &c.versions[v]; w.stamp.IsZero() && w.writer >= 0 && w.outcome != Refused {
			c.unstamped = append(c.unstamped, int32(v))
		}
	}
	slices.SortStableFunc(unknown, func(a, b goneItem) int {
		if a.item.Key != b.item.Key {
			return int(a.item.Key) - int(b.item.Key)
		}
		if a.item.Seen != b.item.Seen {
			return int(a.item.Seen) - int(b.item.Seen)
		}
		return a.item.Stamp.Compare(b.item.Stamp)
	})
	for len(unknown) > 0 {
		n := 1
		for n < len(unknown) && unknown[n].item.Key == unknown[0].item.Key &&
			unknown[n].item.Seen == unknown[0].item.Seen {
			n++
		}
		c.resolveUnknown(unknown[:n])
		unknown = unknown[n:]
	}
}

func (c *Checker) resolveStamp(g goneItem, v int32) int32 {
	w := &c.versions[v]
	switch {
	case w.key != g.item.Key:
		c.fail(KindWrongKey, g.at, "%s found stamp %v, but that is %s", c.nameOp(g.at), g.item.Stamp, c.nameVersion(v))
		return unjudged
	case g.item.Seen == SeenTombstone && !w.tombstone:
		c.fail(KindNowhere, g.at, "%s found a tombstone of stamp %v, but that is %s, which has a value",
			c.nameOp(g.at), g.item.Stamp, c.nameVersion(v))
		return unjudged
	}
	c.learn(v, g.item, g.at)
	return v
}

// resolveUnknown takes the reads of one key that found a delete (or an expired
// value) of a stamp that nobody else knows. They must stem from writes whose
// reply was lost, or from another program. If only one write comes into question
// it is that one; if several do, which of them it was cannot be told, and the
// version is given an empty past, so that nothing wrong is claimed.
func (c *Checker) resolveUnknown(reads []goneItem) {
	key, seen := reads[0].item.Key, reads[0].item.Seen
	stamps := 1
	for i := 1; i < len(reads); i++ {
		if reads[i].item.Stamp != reads[i-1].item.Stamp {
			stamps++
		}
	}
	candidates, only := 0, none
	for _, v := range c.unstamped {
		if w := &c.versions[v]; w.key == key && w.tombstone == (seen == SeenTombstone) {
			candidates, only = candidates+1, v
		}
	}
	of := c.anyOf[key]
	foreign := of.deletes || seen == SeenExpired && of.writes
	for _, g := range reads {
		switch {
		case candidates == 1 && stamps == 1 && !foreign:
			c.learn(only, g.item, g.at)
			*g.slot = only
		case stamps <= candidates || foreign:
			*g.slot = c.foreignVersion(&Item{Key: key, Dot: g.item.Dot, Stamp: g.item.Stamp})
		default:
			c.fail(KindNowhere, g.at, "%s found no value but stamp %v, which no write of the key can have", c.nameOp(g.at), g.item.Stamp)
		}
	}
}

// foreignVersion returns the version that a foreign value and stamp name.
func (c *Checker) foreignVersion(it *Item) int32 {
	name := foreignName{key: it.Key, value: it.Value, stamp: it.Stamp}
	if v, ok := c.foreign[name]; ok {
		return v
	}
	v := int32(len(c.versions))
	c.versions = append(c.versions, version{
		key: it.Key, value: it.Value, stamp: it.Stamp, dot: it.Dot,
		writer: -1, lastEntry: -1, tombstone: it.Value == 0,
	})
	c.foreign[name] = v
	c.claimStamp(v)
	return v
}

// learn notes what a read tells about the stamp and dot of a version.
func (c *Checker) learn(v int32, it *Item, at Place) {
	w := &c.versions[v]
	if !it.Stamp.IsZero() {
		switch {
		case w.stamp.IsZero():
			w.stamp = it.Stamp
			c.claimStamp(v)
		case w.stamp != it.Stamp:
			c.fail(KindStampClash, at, "%s found stamp %v, but it is %s", c.nameOp(at), it.Stamp, c.nameVersion(v))
		}
	}
	if !it.Dot.IsZero() {
		switch {
		case w.dot.IsZero():
			w.dot = it.Dot
		case w.dot != it.Dot:
			c.fail(KindDotClash, at, "%s found dot %v, but it is %s of dot %v", c.nameOp(at), it.Dot, c.nameVersion(v), w.dot)
		}
	}
}

// claimStamp makes a version the owner of its stamp. ForeignStamp has no owner:
// all that other programs wrote before a cache knew the key has it.
func (c *Checker) claimStamp(v int32) {
	w := &c.versions[v]
	if w.stamp.IsZero() || w.stamp == causal.ForeignStamp {
		return
	}
	other, taken := c.byStamp[w.stamp]
	if !taken {
		c.byStamp[w.stamp] = v
		return
	}
	at := Place{Process: w.writer, Op: w.op, Key: w.key}
	c.fail(KindStampClash, at, "%s and %s have the same stamp", c.nameVersion(v), c.nameVersion(other))
}

// checkDots finds two writes of one epoch with the same dot.
func (c *Checker) checkDots() {
	c.byDot = emptied(c.byDot)
	for v := range c.versions {
		w := &c.versions[v]
		if w.dot.IsZero() || w.writer < 0 || w.outcome == Refused {
			continue
		}
		name := epochDot{epoch: c.h.processes[w.writer].epoch, origin: w.dot.Origin, counter: w.dot.Counter}
		if other, taken := c.byDot[name]; taken {
			c.fail(KindDotClash, Place{Process: w.writer, Op: w.op, Key: w.key},
				"%s and %s have the same dot %v", c.nameVersion(int32(v)), c.nameVersion(other), w.dot)
			continue
		}
		c.byDot[name] = int32(v)
	}
}

// emptied returns m without entries, or a new map.
func emptied[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return make(map[K]V)
	}
	clear(m)
	return m
}
