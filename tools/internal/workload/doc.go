// Package workload makes sessions of clientlib work against a cluster and records
// what they saw, in the form that package check judges.
//
// A Thread is one session with its recorded process; a Roamer is a workflow that
// moves to another node after every operation, with its exported context. A Thread
// and a Roamer belong to one goroutine; a Tally is shared by all.
//
// Failed operations are counted by kind and never hidden: which kinds a trial has to
// expect is for the trial to say. A write that ended with ErrUnknownOutcome is retried
// a few times, with the value that it had, and recorded as unknown if that does not
// help. The package judges nothing.
package workload
