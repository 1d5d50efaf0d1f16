// Command causalmeshd runs one node of a ring of cache servers.
//
// Its exit codes: 0 everything that was acknowledged is stable and flushed; 1 it
// could not run; 2 the settings are wrong; 3 acknowledged writes were left behind,
// or a second signal, a second or more after the first, ended it at once.
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
	"time"

	"causalmesh/daemon"
	"causalmesh/daemon/store"
)

const (
	exitFailed     = 1
	exitConfig     = 2
	exitLeftBehind = 3
)

func main() {
	cmd, err := daemon.ParseArgs(os.Args[1:], os.Environ())
	switch {
	case errors.Is(err, flag.ErrHelp):
		daemon.Usage(os.Stdout)
		return
	case err == nil && cmd.Version:
		fmt.Println("causalmeshd", daemon.Version())
		return
	case err == nil && cmd.CheckHost:
		if !cmd.Config.CheckHost(os.Stdout) {
			os.Exit(exitFailed)
		}
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
		awaitSignals(signals, cancel, log)
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

// sameSignal is how long after the first signal others count as that one: timeout(1)
// signals its child and then the child's process group, and wrappers forward what
// the terminal has sent to all.
const sameSignal = time.Second

// awaitSignals calls drain at the first signal, and returns when another one says
// not to wait for it.
func awaitSignals(signals <-chan os.Signal, drain func(), log *slog.Logger) {
	log.Info("signal: draining; another one, after a second, ends at once", "signal", (<-signals).String())
	first := time.Now()
	drain()
	for s := range signals {
		if time.Since(first) >= sameSignal {
			log.Error("second signal: ends without draining", "signal", s.String())
			return
		}
		log.Info("signal: as it is already draining, it does nothing", "signal", s.String())
	}
}
