// Package top is meshctl top: what the kernel measures of nodes' requests, as a screen
// that goes on, or as plain text where there is no terminal.
//
//	probe.Live ──readings──▶ digest ──▶ State ──▶ View ──lines──▶ terminal
//	  every interval                     ▲
//	                            keys ────┘
//
// [View] is pure: a state, a look and a size in, lines out. One goroutine ([Run]) owns the
// state, the terminal and what was last drawn; another reads nodes, at most one round at
// a time; a third one reads keys, and waits for one more after the end.
//
// The terminal is driven with a dozen ANSI sequences and golang.org/x/term. A framework for
// terminals would ask the terminal for its colours and wait for the answer, some of them as soon
// as they are linked in, for every command of meshctl; there is one view here, and ten keys.
//
// The package refuses to be more than a view: it attaches nothing, and changes nothing at nodes.
// What nodes say is shown as printable ASCII, so that it can neither steer the terminal nor
// break a line.
package top
