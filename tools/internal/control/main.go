package control

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"unicode"
)

// The exit codes of meshctl.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitAbsent = 3
)

// Main is command meshctl. It returns the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	command, call, err := understand(args)
	if errors.Is(err, flag.ErrHelp) {
		if command != nil && command.help != "" {
			fmt.Fprint(stdout, command.help)
		} else {
			Usage(stdout)
		}
		return exitDone
	}
	if err == nil {
		call.stdout = stdout
		err = execute(command, call)
	}
	if err == nil {
		return exitDone
	}
	report(stderr, err)
	switch {
	case errors.Is(err, ErrUsage):
		return exitUsage
	case errors.Is(err, ErrAbsent):
		return exitAbsent
	}
	return exitFailed
}

// report writes an error. Joined ones have a line each. What others have said and is in it
// does nothing to a terminal.
func report(w io.Writer, err error) {
	text := strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, err.Error())
	fmt.Fprintf(w, "meshctl: %s\n", strings.ReplaceAll(text, "\n", "\nmeshctl: "))
}

// execute runs a command until it is done or a signal comes. A second one ends the process.
func execute(command *command, call *call) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel)
	return command.run(ctx, call)
}
