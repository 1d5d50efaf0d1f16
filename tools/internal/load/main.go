package load

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
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
		ctx, cancel := interruptible()
		defer cancel()
		err = runAndReport(ctx, &o, stdout, stderr, newProgress(stderr))
	}
	if err == nil {
		return exitDone
	}
	tell(stderr, err)
	if errors.Is(err, ErrUsage) {
		return exitUsage
	}
	return exitFailed
}

// tell writes an error, or what is near to one. Joined ones have a line each.
func tell(w io.Writer, err error) {
	fmt.Fprintf(w, "loadgen: %s\n", strings.ReplaceAll(err.Error(), "\n", "\nloadgen: "))
}

func runAndReport(ctx context.Context, o *Options, stdout, stderr io.Writer, line *progress) error {
	report, err := Run(ctx, o, line)
	if err != nil {
		return err
	}
	if report.Errors > 0 {
		tell(stderr, fmt.Errorf("warning: %d of %d operations failed, the first with: %s",
			report.Errors, report.Ops+report.Errors, report.FirstError))
	}
	if o.JSON {
		return report.WriteJSON(stdout)
	}
	return report.WriteText(stdout, o)
}
