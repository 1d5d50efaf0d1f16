package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
)

// The exit codes of bench.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell has it
)

const usage = `bench measures causalmesh beside Redis and memcached, and writes docs/performance.md.
Run it in the folder of the module; it builds what it measures.

usage: bench [flags]

  All of it:                                   bench
  Only whether everything works:               bench -quick
  One experiment, the page left as it is:      bench -only latency
  One experiment anew, in its place there:     bench -only latency -add
  The page anew, from the data that is there:  bench -render
  Whether the page is that of the code:        bench -check

Exit codes: 0 done; 1 not done, or stale; 2 the command line makes no sense.

flags:
`

// options are the command line.
type options struct {
	quick, render, check, add bool
	docs, only                string
}

func flagsFor(o *options) *flag.FlagSet {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard) // the caller reports errors, once
	f.BoolVar(&o.quick, "quick", false, "a short run into a new folder, with figures that mean nothing")
	f.BoolVar(&o.render, "render", false, "measure nothing, and write the page from the data")
	f.BoolVar(&o.check, "check", false, "measure nothing, and fail if the figures are older than the code")
	f.BoolVar(&o.add, "add", false, "with -only: put the experiments in their place in the page that is there; it has to be of the same code")
	f.StringVar(&o.docs, "docs", "", "`folder` to write to; empty: docs, or a new one for -quick and -only")
	f.StringVar(&o.only, "only", "", "`experiments` to run, by a comma apart: "+strings.Join(ids(Experiments(Full())), ", "))
	return f
}

// Main is command bench. It returns the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	var o options
	f := flagsFor(&o)
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		f.SetOutput(stdout)
		f.PrintDefaults()
		return exitDone
	case err != nil:
		err = fmt.Errorf("%w: %w; see bench -help", ErrUsage, err)
	case f.NArg() > 0:
		err = fmt.Errorf("%w: unexpected argument %q; see bench -help", ErrUsage, f.Arg(0))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err == nil {
		err = o.run(ctx, stdout, stderr)
	}
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "bench: interrupted; everything that was started has ended")
		return exitInterrupted
	}
	fmt.Fprintf(stderr, "bench: %v\n", err)
	if errors.Is(err, ErrUsage) {
		return exitUsage
	}
	return exitFailed
}

// root is the folder of the module.
const root = "."

func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	docs := o.docs
	if docs == "" {
		docs = "docs"
	}
	switch {
	case o.render:
		return renderFiles(docs)
	case o.check:
		return check(ctx, docs)
	}
	plan := Full()
	if o.quick {
		plan = Quick()
	}
	experiments, err := choose(Experiments(plan), o.only)
	if err != nil {
		return err
	}
	if o.add {
		return o.measureMore(ctx, docs, plan, experiments, stdout, stderr)
	}
	if o.docs == "" && (o.quick || o.only != "") {
		if docs, err = os.MkdirTemp("", "bench-docs"); err != nil {
			return err
		}
	}
	data, err := buildAndMeasure(ctx, plan, experiments, stderr)
	if err != nil {
		return err
	}
	data.Quick, data.Part = o.quick, o.only != ""
	return publish(docs, data, stdout)
}

// publish writes the data, and the page that is made of it.
func publish(docs string, data *Data, stdout io.Writer) error {
	if err := WriteData(docs, data); err != nil {
		return err
	}
	if err := renderFiles(docs); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s\n", filepath.Join(docs, documentName))
	return nil
}

// measureMore adds to the data that is there. Whether the two belong together is looked at
// before and, as code may change meanwhile, after the measurement.
func (o *options) measureMore(ctx context.Context, docs string, plan Plan, experiments []Experiment, stdout, stderr io.Writer) error {
	if o.only == "" || o.quick {
		return fmt.Errorf("%w: -add goes with -only, and not with -quick", ErrUsage)
	}
	data, err := ReadData(docs)
	if err != nil {
		return err
	}
	now, err := readCode(ctx, root)
	if err != nil {
		return err
	}
	if err := data.belongs(&now, plan); err != nil {
		return err
	}
	more, err := buildAndMeasure(ctx, plan, experiments, stderr)
	if err != nil {
		return err
	}
	if err := data.belongs(&more.Code, plan); err != nil {
		return err
	}
	data.add(more)
	return publish(docs, data, stdout)
}

// belongs reports why what is measured of some code by some plan does not belong to the data.
func (d *Data) belongs(c *Code, plan Plan) error {
	if changed := d.Code.changed(c); len(changed) > 0 || !reflect.DeepEqual(d.Plan, plan) {
		return fmt.Errorf("%w: what is there was measured in another way, or of other code (%s); run make bench", ErrStale, strings.Join(changed, ", "))
	}
	return nil
}

// buildAndMeasure measures programs that it builds itself: figures are then those of
// the code that they name.
func buildAndMeasure(ctx context.Context, plan Plan, experiments []Experiment, stderr io.Writer) (data *Data, err error) {
	bin, err := os.MkdirTemp("", "bench-bin")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	code, err := build(ctx, root, bin)
	if err != nil {
		return nil, err
	}
	if data, err = measure(ctx, bin, plan, experiments, stderr); err != nil {
		return nil, err
	}
	data.Code = code
	return data, nil
}

// choose picks experiments by their names.
func choose(all []Experiment, only string) ([]Experiment, error) {
	if only == "" {
		return all, nil
	}
	var chosen []Experiment
	for id := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(e Experiment) bool { return e.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("%w: -only %s: there is no such experiment; use some of %s", ErrUsage, id, strings.Join(ids(all), ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// renderFiles writes the page and its charts from the data.
func renderFiles(docs string) error {
	d, err := ReadData(docs)
	if err != nil {
		return err
	}
	experiments := Experiments(d.Plan)
	if err := drawCharts(docs, d, experiments); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(docs, documentName), []byte(render(d, experiments)), 0o644)
}

// check fails if the figures are not those of the code, or the page not that of the
// figures.
func check(ctx context.Context, docs string) error {
	d, err := ReadData(docs)
	if err != nil {
		return err
	}
	now, err := readCode(ctx, root)
	if err != nil {
		return err
	}
	if changed := d.Code.changed(&now); len(changed) > 0 {
		return fmt.Errorf("%w: these have changed since %s was measured (commit %s): %s\nrun make bench (it takes about %s) and commit docs/",
			ErrStale, documentName, d.Code.Commit, strings.Join(changed, ", "), shortly(d.Seconds))
	}
	page, err := os.ReadFile(filepath.Join(docs, documentName))
	if err != nil {
		return err
	}
	if string(page) != render(d, Experiments(d.Plan)) {
		return fmt.Errorf("%w: %s is not what its data gives; run: go run ./tools/bench -render", ErrStale, documentName)
	}
	return nil
}
