// Command stress runs the tests of this module many times, beside each other and beside a
// load, and counts the runs and failures of each. Its exit codes: 0 every test passed every
// time; 1 one did not; 2 the command line is invalid.
package main

import (
	"os"

	"causalmesh/tools/internal/stress"
)

func main() { os.Exit(stress.Main(os.Args[1:], os.Stdout, os.Stderr)) }
