// Package trial runs real causalmeshd processes, lets workflows loose on them, breaks
// things, and judges what the workflows saw. Command trial is a thin main around it.
//
// Each trial has the same shape: start a stage (a directory, a redis-server, a
// cluster), work, come to rest, read the final state at every node, have package
// check judge the whole history, end everything. A trial returns an error if a promise
// was broken, and tells what it did on Options.Out either way.
//
// A trial belongs to one goroutine and starts others that have ended when it returns,
// as have all processes, on Ctrl-C (the end of its context) and after a failure, too.
// Everything in it is bounded in time. Trials share the machine's processors with what
// they try: their figures compare nothing and are no benchmark.
package trial
