package check

// resolveFinal finds the versions that the servers hold at the end.
func (c *Checker) resolveFinal() {
	keys := len(c.h.Keys)
	c.final = resize(c.final, len(c.h.Final)*keys)
	for s := range c.h.Final {
		row := c.final[s*keys : (s+1)*keys]
		for k := range row {
			row[k] = c.resolveNothing(KeyID(k))
		}
		items := c.h.Final[s].Items
		for i := range items {
			c.resolve(&items[i], &row[items[i].Key], atEnd(items[i].Key))
		}
	}
}

// checkEnd judges the final state: the servers agree, on a version that is not
// below any that must have survived.
func (c *Checker) checkEnd() {
	if len(c.h.Final) == 0 {
		return
	}
	keys := len(c.h.Keys)
	c.top = filled(c.top, keys, none)
	c.bare = filled(c.bare, keys, none)
	for v := range c.versions {
		w := &c.versions[v]
		switch {
		case !w.required:
		case w.stamp.IsZero():
			c.bare[w.key] = int32(v)
		case c.stampOf(c.top[w.key]).Less(w.stamp):
			c.top[w.key] = int32(v)
		}
	}
	for k := range keys {
		c.checkAgreement(KeyID(k))
		c.checkSurvival(KeyID(k))
	}
	for _, s := range c.h.Final {
		if s.Pending != 0 {
			c.fail(KindPending, nowhere, "server %d still has %d versions in its I-cache", s.Server, s.Pending)
		}
	}
}

func (c *Checker) finalOf(server int, k KeyID) int32 { return c.final[server*len(c.h.Keys)+int(k)] }

func (c *Checker) checkAgreement(k KeyID) {
	first := -1
	for s := range c.h.Final {
		v := c.finalOf(s, k)
		switch {
		case v == unjudged:
		case first < 0:
			first = s
		case v != c.finalOf(first, k):
			c.fail(KindDiverged, atEnd(k), "of key %s server %d has %s, but server %d has %s", c.h.keyName(k),
				c.h.Final[first].Server, c.nameVersion(c.finalOf(first, k)), c.h.Final[s].Server, c.nameVersion(v))
			return
		}
	}
}

func (c *Checker) checkSurvival(k KeyID) {
	for s := range c.h.Final {
		v := c.finalOf(s, k)
		if v == unjudged || v >= 0 && c.versions[v].stamp.IsZero() {
			continue
		}
		lost := none
		switch {
		case c.stampOf(v).Less(c.stampOf(c.top[k])):
			lost = c.top[k]
		case v == none:
			lost = c.bare[k]
		}
		if lost != none {
			c.fail(KindLost, atEnd(k), "of key %s server %d has %s, below %s, which was acknowledged or read",
				c.h.keyName(k), c.h.Final[s].Server, c.nameVersion(v), c.nameVersion(lost))
			return
		}
	}
}
