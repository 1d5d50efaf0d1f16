package bench

import "fmt"

// What is said on the page about latency, beside its figures.

func readLatencies(d *Data) []string {
	return []string{
		"How long a read takes from the client's point of view, which part of that the kernel sees where " +
			"([tracing.md](tracing.md) says how), what the rest is, and what it costs to look.",
		fmt.Sprintf("**How to read it.** Each figure is the median of %d rounds, with the lowest and the highest one in brackets. A ratio, or a "+
			"difference, is the median of the rounds' ratios or differences: both sides of it were measured within seconds of each other. "+
			"Absolute figures vary from machine to machine and from hour to hour.", d.Plan.Rounds),
		fmt.Sprintf("All are reads of keys that the node has: keys of 12 and values of %d bytes, %s keys drawn uniformly, %s at a time after "+
			"%s that does not count. *One at a time* is one session on one connection, where each read waits for the last; "+
			"*%s* are 512 sessions that keep all queues filled. Clients are at one node of three, without a database below.",
			valueBytes, grouped(float64(d.Plan.Keys)), shortly(d.Plan.Seconds), shortly(d.Plan.WarmUp), loadMany),
		"The nodes have a processor, and the client has another one (`taskset`), but for shared memory. Left to the scheduler, client and node sometimes share a processor and then hand " +
			"it to each other in 5 µs, and sometimes do not and have to wake each other up in 60 µs: which of the two happens would decide " +
			"more than anything that is measured here. So figures are not those of [performance.md](performance.md).",
	}
}

func runLatencies(*Data) []string {
	return []string{"Probes are attached to the node that is asked, as `meshctl probe on` does it, below a folder of their own in the BPF file system. " +
		"The kernel's count of reads is held against the client's in each run: they are the same, or the run is an error. CPU time of nodes is " +
		"that of the process's own clock, in ns; that of the client, which is loadgen's own, is what getrusage(2) says."}
}

// asksUnix explains what there is to see over all transports.
const asksUnix = "Clients read while probes are attached. What a client measures on average is split up by what the kernel saw of the very " +
	"same requests:\n\n" +
	"```\n" +
	"client                        kernel         node\n" +
	"  │ encodes, write(2) ───────▶ ready     ┐\n" +
	"  │                                      │ queue: its loop wakes up, and receives\n" +
	"  │                            received  ┤\n" +
	"  │                                      │ service: decodes, looks up, encodes\n" +
	"  │                            answered  ┤\n" +
	"  │                                      │ send: into the client's socket, and wakes the client\n" +
	"  │ wakes up, read(2) ◀─────── sent      ┘\n" +
	"  │ decodes\n" +
	"```\n\n" +
	"*Client* is what is left: all that the client measures and that is in none of the other parts, before *ready* and after *sent*. " +
	"Means are split up, as the means of the parts add up to that of the whole. Medians do not: the slower " +
	"half of the queues need not be that of the slower requests. They stand below, for themselves.\n\n" +
	"Three clients tell what the client's part is made of:\n\n" +
	"- One *that spins*: loadgen's driver, asking for replies again and again (`--spin`). Its part is to encode a request, to write " +
	"it, to find the reply, to read it and to decode it: the codec and system calls, and no sleep.\n" +
	"- One *that sleeps*: the same driver, which sleeps until there is a reply. What its part is larger by is its way out of that sleep: its processor " +
	"is told by the node's, leaves its idle state, and switches to the client. The other end of this waking is in *send*: it is the node's " +
	"thread that wakes the client, while it sends.\n" +
	"- The *client library*: loadgen with `clientlib`. What its part is larger by is the library: the goroutine that reads hands each reply over to the " +
	"one that has asked, and Go's poller and scheduler are between the kernel and both. Go's threads look for work for a while before they sleep: " +
	"where *send* is short, the node had no sleeper to wake."

const noteUnix = "**One at a time** most of it is waking up, at both ends. The loop sleeps until a request comes, so that *a wake-up of the loop*, from the first thing to do until the loop " +
	"has it, is about all of the queue. (All wake-ups of the node's loops are in it, also those for other nodes' messages.) The service, which is all of the node's own work, is a small part, and would be smaller if " +
	"the processor had not slept just before: its caches are cold.\n\n" +
	"**With " + loadMany + "** nobody sleeps for long, and the parts are waits of another kind. Requests come by the dozen in one receive, and wait until the loop is done with what it has (queue). " +
	"Replies go out together when the last one of a turn is made (service). And loadgen, which is one thread for all connections, looks at no reply while it makes requests and takes other replies: most of the client's part is " +
	"the client's own queue. With the library there are 512 goroutines on one processor instead, which wait for each other. A wake-up is still that of a loop that waited; most requests are in none.\n\n" +
	"Two things are not quite where they belong. A client that was woken may run before the node notes *sent*: then the end of *send* and the beginning of the client's part are at the same time, and counted once, as *send*. And the programs that measure " +
	"run within the parts, and are in them (see [below](#how-long-the-programs-run))."

const asksTCP = "The same over TCP, through loopback: parts and clients are those of the Unix socket."

const noteTCP = "TCP does more for each message, and does it where it is sent: in *send* for a reply, and in the client's part, before *ready*, for a request. Over loopback the sender carries a segment all the way " +
	"to the receiver's socket. Between machines there would be the network between *ready* and the client, and between *sent* and the client; the node's parts would be the same."

const notesOverhead = "Programs run where the events are: `ready` in the context of the client that writes, `sent` in that of whoever sends, and `wait`, `received` and `answered` on the thread of the node's loop. So what they cost " +
	"is charged to both sides. *CPU of client and node* is all of it; *CPU of the node asked* is what is seen at the daemon alone. " +
	"What was asked for: one at a time at most 2.5 µs and 20 % more p50; many at once at most 50 ns and 5 % more CPU time for each request, which is judged for both sides together and for the node alone; " +
	"and nothing once probes are detached: a ratio from 0.95 to 1.05, as two measurements of the same differ by that, too. One that was never attached to has just started when it is " +
	"measured, and the others are the same processes some seconds later; that is in the ratios, too."

const notesPrograms = "A program runs for every event of its kind on the machine, and leaves those of others after a look at the ring, the process or the thread. Such runs are counted, too, and pull the mean down; `sent`, for one, " +
	"runs for what the client sends as well. Many at once, a run serves all requests of a receive, or all replies of a send. The time is that of the program itself; what the kernel does to get there is not in it."

const asksMemory = "The same through rings in shared memory (`shm:`), where the client is always the library. No system call shows these requests: while probes are attached the library notes " +
	"when it publishes a request, the node when it takes it and when it publishes the reply, and the node tells the programs in the kernel. So *queue* is from the publishing to " +
	"the taking, *service* from there to the publishing of the reply, and there is no *send*: a reply that is published is there."

const noteMemory = "Here client and node may use both processors, as whoever has one only does not spin. While both spin a request takes as long as two processors take to see what the other " +
	"one has written, and nobody is woken. Where one of them has gone to sleep a bell over the socket wakes it, which takes as long as it does for a socket, and is why means are far above medians. " +
	"*A wake-up of the loop* is of these, and of messages of other nodes. *Client* is the library, from the call to the publishing and from the reply to the return. With " + loadMany + " it is 512 goroutines that " +
	"wait for each other, and for the node, which shares the processors with them."
