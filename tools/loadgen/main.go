// Command loadgen puts a causalmesh cluster, or Redis or memcached beside it, under load
// and reports throughput and latency. Its exit codes: 0 there is a result; 1 there is
// none, or no operation succeeded; 2 the command line is invalid.
package main

import (
	"os"

	"causalmesh/tools/internal/load"
)

func main() { os.Exit(load.Main(os.Args[1:], os.Stdout, os.Stderr)) }
