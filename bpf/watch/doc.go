// Package watch is a word in memory with which whoever attaches probes to a daemon has it
// time requests that no system call shows: those of clients in shared memory.
//
//	who attaches                        page                     daemon's loops
//	Set: find it in /proc/PID/fd ─────▶ on ────────────────────▶ On: one load a turn
//	wait until all loops do ◀────────── following ◀───────────── Follow: it does now
//
// The page is a file in memory that only the daemon has open, so it goes with it, and costs
// nothing else: no address to listen on, nobody to answer, and no probe in the daemon's code.
// A page names the life of the daemon that has made it (boot), so a process that got the
// same number is left alone.
//
// Set is for a process that may do more than the daemon, and believes nothing: what it
// opens for writing is a file in memory and no other, whatever name it has, and it writes
// one word of it. What it waits for ends with its context.
//
// A Watch may be used from any goroutine, until Close.
package watch
