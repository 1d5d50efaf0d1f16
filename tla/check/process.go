package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// TLC runs the model checker.
type TLC struct {
	Java, Jar string
	Dir       string // of the modules
	Temp      string // for what TLC leaves behind; removed by whoever made it
	Logs      string // a directory: one log for each run
	Workers   int
	Timeout   time.Duration
	Partial   bool               // see Run
	Short     func(*Config) bool // it is over before a better compiler would pay; nil: none is
	EndDelay  time.Duration      // what a process has to end after it was told to
	Now       func() time.Time
}

// endDelay is TLC.EndDelay, as a rule.
const endDelay = 5 * time.Second

var errTimeout = errors.New("time-out")

// LogPath is where the log of a run is.
func (t *TLC) LogPath(c *Config) string { return filepath.Join(t.Logs, c.Name+".log") }

// tlcOptions are those of every run.
var tlcOptions = []string{"-tool", "-fp", "0", "-checkpoint", "0"}

// command is the one of a run. With one worker TLC does the same every time: it
// searches breadth first, so the first counterexample is a shortest one. The
// polynomial for fingerprints is fixed since the search for loops depends on it.
func (t *TLC) command(ctx context.Context, c *Config, library string) (*exec.Cmd, error) {
	temp, err := os.MkdirTemp(t.Temp, "")
	if err != nil {
		return nil, err
	}
	// TLC unpacks its modules into the temporary directory and removes them at its end:
	// each process needs one for itself.
	args := []string{"-XX:+UseParallelGC", "-Djava.io.tmpdir=" + temp}
	if t.Short != nil && t.Short(c) {
		args = append(args, "-XX:TieredStopAtLevel=1")
	}
	if library != "" {
		args = append(args, "-DTLA-Library="+library)
	}
	args = append(append(args, "-cp", t.Jar, "tlc2.TLC"), tlcOptions...)
	args = append(args, "-workers", strconv.Itoa(t.Workers), "-metadir", filepath.Join(temp, "states"), "-config", c.Path())
	args = append(append(args, c.Options...), c.Module)
	cmd := exec.CommandContext(ctx, t.Java, args...)
	cmd.Dir = t.Dir
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = t.EndDelay
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	return cmd, nil
}

// Run checks one configuration. Of library are the modules that are made for it. An
// error is one of this program or machine; TLC's are outcomes.
func (t *TLC) Run(ctx context.Context, c *Config, library string, progress func(Progress)) (Outcome, error) {
	// The child's end comes with that of the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithTimeoutCause(ctx, t.Timeout, errTimeout)
	defer cancel()

	logPath := t.LogPath(c)
	if err := os.MkdirAll(filepath.Dir(logPath), 0o755); err != nil {
		return Outcome{}, err
	}
	log, err := os.Create(logPath)
	if err != nil {
		return Outcome{}, err
	}
	defer log.Close()
	cmd, err := t.command(ctx, c, library)
	if err != nil {
		return Outcome{}, err
	}
	fmt.Fprintf(log, "in %s: %s\n\n", t.Dir, cmd)

	output, input := io.Pipe()
	cmd.Stdout, cmd.Stderr = input, input
	begin := t.Now()
	if err := cmd.Start(); err != nil {
		if ctx.Err() == nil {
			return Outcome{}, err
		}
		var out Outcome
		out.Kind, out.Reason = t.cutOff(ctx)
		return out, nil
	}
	var observer Observer
	read := make(chan error, 1)
	go func() {
		err := readMessages(output, func(m Message) {
			fmt.Fprintln(log, m.Text)
			if observer.Take(m) {
				progress(observer.outcome.Progress)
			}
		})
		output.CloseWithError(err)
		read <- err
	}()
	waited := cmd.Wait()
	input.Close()
	if err := <-read; err != nil {
		return Outcome{}, err
	}
	out := observer.Outcome(cmd.ProcessState.ExitCode())
	switch {
	case waited == nil, observer.verdict: // it ended by itself, or has found something
	case ctx.Err() != nil:
		out.Kind, out.Reason = t.cutOff(ctx)
	case cmd.ProcessState.ExitCode() < 0:
		out.Kind, out.Reason = Failed, "TLC was ended from outside: "+waited.Error()
	}
	out.Took = t.Now().Sub(begin)
	return out, nil
}

// cutOff is how a run ended that did not outlive its context.
func (t *TLC) cutOff(ctx context.Context) (Kind, string) {
	if errors.Is(context.Cause(ctx), errTimeout) {
		return TimedOut, fmt.Sprintf("it did not end within %v: give it more with -timeout", t.Timeout)
	}
	return Interrupted, ""
}
