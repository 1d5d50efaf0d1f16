// Package bpf follows the requests of a running daemon in the kernel: programs on
// io_uring's tracepoints measure how long each waited for the daemon, how long the daemon had
// it, and how long the reply took into the socket, without the daemon's doing anything for it.
//
//	client            kernel                                  daemon's loop
//	  │ write ───▶ task_add       ready     ┐
//	  │                                     │ queue
//	  │            complete       received  ┘┐ ──────────▶ handles it
//	  │                                      │ service
//	  │            submit_req     answered   ┘┐ ◀───────── sends the reply
//	  │                                       │ send
//	  │ ◀───────── sock_send_length           ┘
//
// Besides, the wake-up of a loop is measured: from the first thing to do for one that waits
// to its first completion. It is a part of the queue of what woke it.
//
// The user_data of each operation points to a record in the daemon's memory (type record
// in ring/uring, c/record.h here). A receive's names the connection; a send's, how many
// requests of each kind it answers, and with which byte of the connection's stream
// each of them was complete. A program keeps the last 256 receives of each connection, with
// the bytes at which they end, so each request is found to have come with one receive,
// however many a send answers and however long the daemon held it. A request whose
// receive is not known is counted as untimed, never guessed.
//
// A send is carried out within its submission, and posts no completion if it succeeds; so its
// end is seen where the socket tells what it took, on the same thread. That runs for the sends
// of all processes, of which it leaves those of others at once. What a socket does not take
// whole goes out with the rests that follow, whose completions are seen.
//
// Requests that came in memory which the daemon shares with its clients are seen by the
// daemon alone. It times them while it is told to, and submits an operation that does nothing
// with a record that points to a list of these times.
//
// Outliers, requests whose total is above a setting, are passed on one by one through a ring
// buffer.
//
// # Which rings
//
// task_add runs in whatever process, or interrupt, brings the data, so it is filtered by
// ring: by the address of its context in the kernel. On learns these addresses from a
// program on cqring_wait that notes the rings which the daemon's own threads wait on, before
// anything is counted. Each loop ticks, so this takes some 25 ms, without asking the daemon for anything, and a loop that is missing is an error and
// not a gap in the figures. (The descriptors in /proc/PID/fd show that there are rings, but
// not their addresses.) The others run on the thread of the loop, and go by its process.
//
// # Variants
//
// Tracepoints of io_uring have changed names and arguments. There are programs for
// those of Linux 6.1 and later, and On chooses by the BTF of the running kernel; one that is
// like none of them is refused with a line that says which.
//
// # Ownership
//
// What On attaches is pinned below Root/NODE: links, programs and maps stay when the process
// that has called On ends, and count until Off unpins them. Everything may be called
// from any goroutine and process that may use BPF, the daemon's own as well; On and Off of the
// same node exclude each other by the folder, which one alone can make. Whose the pins are
// their map "about" says: those of a daemon that has ended are replaced.
//
// # Shared memory
//
// Clients in shared memory make no system call to see. For their requests the daemon itself
// looks at the clock while a word in a page of its own is set (package watch), which On does last
// and Off first. It shows what it has measured in a list, to which the record of an operation
// that does nothing leads; a program on submit_req counts that like the rest.
//
// The package refuses to talk to the daemon, but for that word, and to probe what does not
// use io_uring.
package bpf

// The programs are compiled by Debian 12's clang 14 and llvm; the output is committed.
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -go-package bpf -output-stem requests -type cm_about -type cm_histogram -type cm_losses -type cm_operation -type cm_outlier -type cm_ring -type cm_settings requests c/requests.c -- -O2 -Wall -Werror -mcpu=v3
