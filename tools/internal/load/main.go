package load

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// The exit codes of loadgen.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main is command loadgen. It returns the exit code.
func Main(args []string, stdout io.Writer, stderr *os.File) int {
	o, err := ParseArgs(args)
	if errors.Is(err, flag.ErrHelp) {
		Usage(stdout)
		return exitDone
	}
	if err == nil {
		err = runAndReport(&o, stdout, newProgress(stderr))
	}
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(stderr, "loadgen: %v\n", err)
	if errors.Is(err, ErrUsage) {
		return exitUsage
	}
	return exitFailed
}

func runAndReport(o *Options, stdout io.Writer, line *progress) error {
	ctx, cancel := interruptible()
	defer cancel()
	report, err := Run(ctx, o, line)
	if err != nil {
		return err
	}
	if o.JSON {
		return report.WriteJSON(stdout)
	}
	return report.WriteText(stdout, o)
}
