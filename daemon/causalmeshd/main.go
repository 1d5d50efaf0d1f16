// Command causalmeshd runs one node of a ring of cache servers.
//
// Its exit codes: 0 everything that was acknowledged is stable and flushed; 1 it
// could not run; 2 the settings are wrong; 3 acknowledged writes were left behind,
// or a second signal ended it at once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"causalmesh/daemon"
	"causalmesh/daemon/store"
)

const (
	exitFailed     = 1
	exitConfig     = 2
	exitLeftBehind = 3
)

func main() {
	cmd, err := daemon.ParseArgs(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		daemon.Usage(os.Stdout)
		return
	case err == nil && cmd.Version:
		fmt.Println("causalmeshd", daemon.Version())
		return
	case err == nil && cmd.PrintConfig:
		if _, err = cmd.Config.WriteTo(os.Stdout); err == nil {
			return
		}
	case err == nil:
		err = cmd.Config.Check()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitConfig)
	}
	if cmd.CheckConfig {
		fmt.Println("the settings are good")
		return
	}
	cmd.Config.LimitMemory()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: cmd.Config.LogLevel}))
	store.LogTo(log)
	os.Exit(run(cmd.Config, log))
}

func run(c daemon.Config, log *slog.Logger) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() {
		log.Info("signal: draining; a second one ends at once", "signal", (<-signals).String())
		cancel()
		log.Error("second signal: ends without draining", "signal", (<-signals).String())
		os.Exit(exitLeftBehind)
	}()
	err := daemon.Run(ctx, c, log)
	if err == nil {
		return 0
	}
	log.Error("causalmeshd ends", "error", err)
	switch {
	case errors.Is(err, daemon.ErrLeftBehind):
		return exitLeftBehind
	case errors.Is(err, daemon.ErrConfig):
		return exitConfig
	}
	return exitFailed
}
