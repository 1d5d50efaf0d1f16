// Command check runs TLC, the model checker of TLA+, over the models of this project
// and judges what comes of it: models must hold, canaries must be caught. See
// check -h.
//
// It holds the counterexamples and the table in the README of the models against
// what TLC finds now, and writes them with -update. It ends every process that it has
// started, on Ctrl-C, too.
//
// Its exit codes: 0 everything is as expected; 1 something is not, or could not be
// run; 2 the command line is invalid.
package main
