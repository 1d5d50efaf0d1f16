// Package process looks at processes of this machine from outside: whether a
// process is still the one that was started, and how much CPU time it has used.
//
// It reads Linux's /proc, holds nothing, and may be used from any goroutine. It
// starts no process, and it signals none that it does not recognise: a process ID is
// given to another process once its owner has ended.
package process
