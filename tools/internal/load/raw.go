package load

import (
	"context"
	"math/rand/v2"
	"net"

	"golang.org/x/sys/unix"
)

// raw is the engine of systems that are driven over raw sockets.
type raw struct {
	run     *run
	drivers []*driver
}

func (e *raw) connect(ctx context.Context) error {
	o := e.run.o
	for range o.Threads {
		e.drivers = append(e.drivers, &driver{
			run: e.run, codec: o.system.codec(e.run), into: newRecorder(o), at: make([][]*conn, len(o.addresses)),
		})
	}
	conns := make([]*conn, o.Conns)
	for i := range conns {
		target := i % len(o.addresses)
		d := e.driver(i)
		most := 0
		c, err := dial(ctx, o.addresses[target], o.Timeout, func(nc net.Conn) (err error) {
			most, err = d.codec.greet(nc)
			return err
		})
		if err != nil {
			return e.run.notConnected(target, err)
		}
		c.target, conns[i] = target, c
		d.conns = append(d.conns, c)
		d.at[target] = append(d.at[target], c)
		if err := e.run.tooLarge(target, most); err != nil {
			return err
		}
	}
	for i := range o.sessions() {
		d := e.driver(i % o.Conns)
		s := &session{chooser: newChooser(o, i), index: i, conn: conns[i%o.Conns]}
		d.sessions = append(d.sessions, s)
		d.codec.enlist(s)
	}
	for _, d := range e.drivers {
		d.polled = make([]unix.PollFd, len(d.conns))
	}
	return nil
}

// driver returns whose connection i is. Each driver has some to every target.
func (e *raw) driver(i int) *driver {
	return e.drivers[i/len(e.run.o.addresses)%len(e.drivers)]
}

func (e *raw) prepare(p *preparation, stop func()) error {
	return together(e.drivers, stop, func(d *driver) error { return d.work(chore{p}) })
}

// load gives each driver the share of an open loop's operations that its sessions
// are of all: arrivals that are dealt out at random are still Poisson.
func (e *raw) load(stop func()) error {
	o := e.run.o
	sources := make(map[*driver]*load, len(e.drivers))
	for i, d := range e.drivers {
		sources[d] = &load{run: e.run, into: &d.into.tally}
		if o.Rate > 0 {
			share := float64(len(d.sessions)) / float64(o.sessions())
			sources[d].arrivals = newArrivals(o.Rate*share, rand.New(rand.NewPCG(o.Seed, uint64(o.sessions()+i))))
		}
	}
	return together(e.drivers, stop, func(d *driver) error { return d.work(sources[d]) })
}

func (e *raw) recorders() []*recorder {
	all := make([]*recorder, len(e.drivers))
	for i, d := range e.drivers {
		all[i] = d.into
	}
	return all
}

func (e *raw) close() {
	for _, d := range e.drivers {
		for _, c := range d.conns {
			c.close()
		}
	}
}
