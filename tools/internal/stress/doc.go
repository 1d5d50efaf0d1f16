// Package stress finds tests that fail by chance. It runs the test binaries of packages many
// times, several at once, beside processes that keep all processors busy, and counts for each
// test how often it ran, failed and was skipped.
//
// A run has three steps. It compiles a test binary for each package. It runs each binary once,
// alone, to list the tests and time them. It then cuts the wanted number of runs into units, a
// unit being one process that runs some tests of one binary a few times in random order, shuffles
// the units, and works on several at a time.
//
// Main owns all goroutines, and all processes in the process groups of the test binaries; none
// outlives it. The package changes nothing but its folder of output, and runs no test in its own
// process.
package stress
