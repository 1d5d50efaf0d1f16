// Command meshctl reads and writes keys of a causalmesh cluster, shows how its nodes
// are, and runs clusters on this machine. Its exit codes: 0 done; 1 failed; 2 the
// command line is invalid; 3 there is no value.
package main

import (
	"os"

	"causalmesh/tools/internal/control"
)

func main() { os.Exit(control.Main(os.Args[1:], os.Stdout, os.Stderr)) }
