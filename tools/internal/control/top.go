package control

import (
	"context"
	"fmt"
	"os"

	"causalmesh/tools/internal/top"
)

const topHelp = `meshctl top shows how long requests take, as the kernel measures it, at each node and for
each operation, anew every second.

usage: meshctl top --admin ADDRESS [--admin ADDRESS...] [--interval 1s] [--count N | --once]
                   [--ascii] [--pins FOLDER]

It reads what probes count, so turn them on first (both as root):
  meshctl probe on --admin 127.0.0.1:7300
  meshctl top --admin 127.0.0.1:7300

total time  of a request, from when the kernel has it until it has the reply: half of all took
            no longer than p50, one in a hundred longer than p99, one in a thousand longer
            than p99.9
parts       queue: it waited for the daemon; service: the daemon had it; send: the reply was
            on its way into the socket. Their means, and each one's share of the total
how many    a histogram of total times, from 1 µs to 1 s, by their logarithm; the tallest
            column is the most frequent one, and whatever there was at all is seen
wake-up     of loops that wait: from when there is something to do until they run; a part of
            the queue
requests/s  as the daemon counts; clients in shared memory are in it, too

keys  q quit   p pause   s sort by operation, rate, p50, p99, p99.9
      r count from now on, in place of each interval by itself; i back to that
      + - longer or shorter interval   j k or arrows: scroll   ^Z stop (fg goes on)

Where the output is no terminal, and with --count or --once, it is plain text: a table for each
interval, times in µs. With these the exit code is 1 if a node had no figures in the end.
NO_COLOR in the environment leaves colours out; --ascii, or a locale that is not UTF-8, blocks.
`

func showTop(ctx context.Context, c *call) error {
	if err := c.needAdmin(); err != nil {
		return err
	}
	o := top.Options{Root: c.pins, Admins: c.admins, Interval: c.interval, Count: c.count, ASCII: c.ascii}
	if o.Interval == 0 {
		o.Interval = top.DefaultInterval
	}
	if c.once {
		o.Count = 1
	}
	switch {
	case o.Interval < top.MinInterval || o.Interval > top.MaxInterval:
		return fmt.Errorf("%w: --interval %v; give one from %v to %v", ErrUsage, c.interval, top.MinInterval, top.MaxInterval)
	case c.count < 0 || c.once && c.count > 1:
		return fmt.Errorf("%w: --count %d; give a number above 0, or --once", ErrUsage, c.count)
	}
	return top.Run(ctx, o, os.Stdin, c.stdout)
}
