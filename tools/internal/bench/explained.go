package bench

import (
	"fmt"
	"strings"
)

// What is said on the page about latency, beside its figures.

func readLatencies(d *Data) []string {
	return []string{
		"How long a read takes from the client's point of view, which part of that the kernel sees where " +
			"([tracing.md](tracing.md) says how), what the rest is, and what it costs to look.",
		fmt.Sprintf("**How to read it.** Each figure is the median of %d rounds, with the lowest and the highest one in brackets. A ratio, or a "+
			"difference, is the median of the rounds' ratios or differences: both sides of it were measured within seconds of each other. "+
			"Absolute figures vary from machine to machine and from hour to hour.", d.Plan.Rounds),
		fmt.Sprintf("All are reads of keys that the node has: keys of 12 and values of %d bytes, %s keys drawn uniformly, %s at a time after "+
			"%s that is not measured. *One at a time* is one session on one connection, where each read waits for the last; "+
			"*%s* are 512 sessions that keep all queues filled. Clients are at one node of three, without a database below.",
			valueBytes, grouped(float64(d.Plan.Keys)), shortly(d.Plan.Seconds), shortly(d.Plan.WarmUp), loadMany),
		"The nodes have a processor, and the client has another one (`taskset`). Left to the scheduler, client and node sometimes share a processor and then hand " +
			"it to each other in 5 µs, and sometimes do not and have to wake each other up in 60 µs: which of the two happens would decide " +
			"more than anything that is measured here. So figures are not those of [performance.md](performance.md).",
	}
}

func runLatencies(*Data) []string {
	return []string{"Probes are attached to the node that is asked, as `meshctl probe on` does it, below a folder of their own in the BPF file system. " +
		"The kernel's count of reads is held against the client's in each run: they are the same, or the run is an error. CPU time of nodes is " +
		"that of the process's own clock, in ns; that of the client, which is loadgen's own, is what getrusage(2) says."}
}

const asksBreakdown = "Clients read while probes are attached. What the client measures on average is split up by what the kernel saw of the very " +
	"same requests. It is means that are split up: the means of parts add up to the mean of the whole, while medians do not (the slowest " +
	"half of the queues need not belong to the slowest half of the requests). Medians stand beside them."

// notesBreakdown are paragraphs.
var notesBreakdown = strings.Join([]string{
	"**What the parts are**, in the order in which a request meets them:",
	"```\n" +
		"client                        kernel         node\n" +
		"  │ encodes, write(2) ───────▶ ready     ┐\n" +
		"  │                                      │ queue: the loop wakes up and receives\n" +
		"  │                            received  ┘┐\n" +
		"  │                                       │ service: decodes, looks up, encodes\n" +
		"  │                            answered  ┐┘\n" +
		"  │                                      │ send: into the client's socket, which wakes the client\n" +
		"  │ wakes up, read(2) ◀─────── sent      ┘\n" +
		"  │ decodes\n" +
		"```",
	"*Client* is what is left: all that the client measures and that is in none of the others. It is at both ends, before *ready* and after *sent*. " +
		"The three clients tell what it is made of:",
	"- *that spins*: loadgen's driver, which asks for replies again and again (`--spin`) and never sleeps. Its part is to make a request, to write " +
		"it, to find the reply, to read it and to take it in: the codec and the system calls, and nothing else.\n" +
		"- *that sleeps*: the same driver, which sleeps until there is a reply. What it has more than the one that spins is its way out of that sleep: the processor " +
		"is told by the other one, leaves its idle state, and switches to the client. The other half of the waking is seen in *send*: it is the node's thread " +
		"that wakes the client, while it sends.\n" +
		"- *client library*: a Go program with `clientlib`. What it has more than the driver that sleeps is the library: the goroutine that reads hands each reply over to the " +
		"one that asked, and Go's scheduler and its poller are between the kernel and both. Go's threads look for work for a while before they sleep, so the node has " +
		"seldom a sleeper to wake (a short *send*), and the client is not later for it.",
	"**One at a time** nearly all is waking up. The queue is: the loop sleeps until the request comes, so *a wake-up of the loop*, from the first thing to do until " +
		"it has received it, is about the queue (all loops and all their wake-ups are in it, those for messages of other nodes too). What a client that spins saves it saves " +
		"for the same reason. The service, which is all of the node's own work, is a small part; its first steps are slow as nothing of the processor's caches is warm.",
	"**With " + loadMany + "** nobody sleeps for long, and parts are waits of another kind: requests come by the dozen in one receive, and all of them wait until the loop is done with what it has (queue); " +
		"replies go out together, after the last of their turn (service); and the client, which is one thread for 16 connections, does not look at a reply while it makes and takes other ones. So there *client* is mostly the " +
		"client's own queue. A wake-up is still that of a loop that waited, and most requests are in none. With the library there are 512 goroutines on one processor, which wait for each other.",
	"Two small things are in the wrong place by nature: a client may run, on the other processor, before *sent* is noted, so that some of *send* overlaps with the client's part; and the programs' own run time is in the parts that " +
		"they run in (below).",
}, "\n\n")

const notesOverhead = "Programs run where the events are: `ready`, and a part of `sent`, in the context of the client that writes; `wait`, `received`, `answered` and `sent` on the thread of the node's loop. So what they cost " +
	"is charged to both, and *CPU of client and node* is all of it; *CPU of the node asked* is what an operator sees at the daemon. " +
	"Which bounds were set: one at a time at most 2.5 µs and 20 % more p50; many at once at most 50 ns and 5 % more CPU time for each request, judged for both sides together and for the node alone; " +
	"and nothing once they are detached, which is a ratio between 0.95 and 1.05: what the same measurement differs by from one time to the next. That the node that is " +
	"measured first has just started is in these ratios, too."

const notesPrograms = "A program runs for every event of its kind on the machine, and leaves those of others after a look at the ring, the process or the thread: such runs are counted here, too, and pull the mean down (`sent` " +
	"runs for what the client sends, as well). Many at once, one run serves all requests that came in one receive, or go out in one send. The time is that of the program itself; what the kernel needs to get there is not in it."
