// Command bench measures causalmesh and writes docs/performance.md or docs/latency.md. Its exit codes: 0 done; 1 not done, or the figures are stale; 2
// the command line is invalid.
package main

import (
	"os"

	"causalmesh/tools/internal/bench"
)

func main() { os.Exit(bench.Main(os.Args[1:], os.Stdout, os.Stderr)) }
