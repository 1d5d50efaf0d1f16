// Command trial runs real causalmeshd processes on this machine, lets workflows loose
// on them, cuts links, stops the database or kills nodes, and judges what the
// workflows saw.
//
// Its exit codes: 0 every promise was kept; 1 one was broken, or the trial could not
// be run; 2 the command line is invalid. It ends every process that it has
// started, on Ctrl-C, too.
package main
