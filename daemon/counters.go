package daemon

// Counters count what clients and peers have done; the core and the loop count the
// rest.
type Counters struct {
	Clients          int        `json:"clients"` // connected now, after their handshake
	Welcomed         uint64     `json:"welcomed"`
	Refused          uint64     `json:"refused"`  // client handshakes
	Requests         uint64     `json:"requests"` // the sum of the next
	Operations       Operations `json:"operations"`
	Failures         Failures   `json:"failures"`     // replies with an error
	DirectReads      uint64     `json:"direct_reads"` // of them answered from the table, without the core
	Overloaded       uint64     `json:"overloaded"`   // of them refused before they got to the core
	Malformed        uint64     `json:"malformed"`    // connections closed for what a client sent
	Unread           uint64     `json:"unread"`       // connections closed for not reading replies
	ReservedKeys     uint64     `json:"reserved_keys"`
	Withheld         uint64     `json:"withheld"`        // replies that were too much on top of what waits
	NoHandshake      uint64     `json:"no_handshake"`    // connections closed for silence
	Attached         uint64     `json:"attached"`        // clients that got shared memory
	SharingRefused   uint64     `json:"sharing_refused"` // clients that were refused it
	CorruptRings     uint64     `json:"corrupt_rings"`   // connections closed for what a client did to its memory
	PeersRefused     uint64     `json:"peers_refused"`
	PeersMalformed   uint64     `json:"peers_malformed"`
	PeersUnproven    uint64     `json:"peers_unproven"` // without the cluster key
	LinksEstablished uint64     `json:"links_established"`
	LinksSilent      uint64     `json:"links_silent"`
}

// add adds what a front has counted.
func (c *Counters) add(d *Counters) {
	c.Clients += d.Clients
	c.Welcomed += d.Welcomed
	c.Refused += d.Refused
	c.Requests += d.Operations.sum()
	for i, n := range d.Operations {
		c.Operations[i] += n
	}
	for i, n := range d.Failures {
		c.Failures[i] += n
	}
	c.DirectReads += d.DirectReads
	c.Overloaded += d.Overloaded
	c.Malformed += d.Malformed
	c.Unread += d.Unread
	c.ReservedKeys += d.ReservedKeys
	c.Withheld += d.Withheld
	c.NoHandshake += d.NoHandshake
	c.Attached += d.Attached
	c.SharingRefused += d.SharingRefused
	c.CorruptRings += d.CorruptRings
}
