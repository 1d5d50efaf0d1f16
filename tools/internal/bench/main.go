package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
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

const usage = `bench measures causalmesh and writes a page of documentation about it: docs/performance.md,
beside Redis and memcached, or with -page latency docs/latency.md, where time goes as probes
in the kernel see it and what they cost (it needs root and io_uring). Run it in the folder of
the module; it builds what it measures.

usage: bench [flags]

  All of it:                                   bench
  Only whether everything works:               bench -quick
  One experiment, the page left as it is:      bench -only latency
  One experiment anew, in its place there:     bench -only latency -add
  The page anew, from the data that is there:  bench -render
  The other page:                              bench -page latency
  Whether all pages are those of the code:     bench -check

Exit codes: 0 done; 1 not done, or stale; 2 the command line is invalid.

flags:
`

// options are the command line.
type options struct {
	quick, render, check, add bool
	docs, only, page          string
}

func flagsFor(o *options) *flag.FlagSet {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard) // the caller reports errors, once
	f.BoolVar(&o.quick, "quick", false, "a short run into a new folder, with figures that mean nothing")
	f.BoolVar(&o.render, "render", false, "measure nothing, and write the page from the data")
	f.BoolVar(&o.check, "check", false, "measure nothing, and fail if the figures are older than the code")
	f.BoolVar(&o.add, "add", false, "with -only: put the experiments in their place in the page that is there; it has to be of the same code")
	f.StringVar(&o.docs, "docs", "", "`folder` to write to; empty: docs, or a new one for -quick and -only")
	f.StringVar(&o.page, "page", performance.Name, "`page` to write: performance or latency")
	f.StringVar(&o.only, "only", "", "`experiments` to run, by a comma apart: "+experimentNames())
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

// experimentNames are all, by page.
func experimentNames() string {
	var all []string
	for _, p := range pages {
		all = append(all, "of "+p.Name+" "+strings.Join(ids(p.Experiments(p.Full)), ", "))
	}
	return strings.Join(all, "; ")
}

// root is the folder of the module.
const root = "."

func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	docs := o.docs
	if docs == "" {
		docs = "docs"
	}
	if o.check {
		var errs []error
		for _, p := range pages {
			errs = append(errs, p.check(ctx, docs))
		}
		return errors.Join(errs...)
	}
	p, err := pageOf(o.page)
	if err != nil {
		return err
	}
	if o.render {
		return p.renderFiles(docs)
	}
	plan := p.Full
	if o.quick {
		plan = p.Quick
	}
	experiments, err := choose(p.Experiments(plan), o.only)
	if err != nil {
		return err
	}
	if o.add {
		return o.measureMore(ctx, p, docs, experiments, stdout, stderr)
	}
	if o.docs == "" && (o.quick || o.only != "") {
		if docs, err = os.MkdirTemp("", "bench-docs"); err != nil {
			return err
		}
	}
	data, err := p.buildAndMeasure(ctx, plan, experiments, stderr)
	if err != nil {
		return err
	}
	data.Quick, data.Part = o.quick, o.only != ""
	return p.publish(docs, data, stdout)
}

// publish writes the data, and the page that is made of it.
func (p *Page) publish(docs string, data *Data, stdout io.Writer) error {
	if err := p.WriteData(docs, data); err != nil {
		return err
	}
	if err := p.renderFiles(docs); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s\n", p.file(docs))
	return nil
}

// measureMore adds to the data that is there. Whether the two belong together is looked at
// before and, as code may change meanwhile, after the measurement.
func (o *options) measureMore(ctx context.Context, p *Page, docs string, experiments []Experiment, stdout, stderr io.Writer) error {
	if o.only == "" || o.quick {
		return fmt.Errorf("%w: -add goes with -only, and not with -quick", ErrUsage)
	}
	data, err := p.ReadData(docs)
	if err != nil {
		return err
	}
	now, err := readCode(ctx, root, p.measured())
	if err != nil {
		return err
	}
	if err := p.belongs(data, &now, p.Full); err != nil {
		return err
	}
	more, err := p.buildAndMeasure(ctx, p.Full, experiments, stderr)
	if err != nil {
		return err
	}
	if err := p.belongs(data, &more.Code, p.Full); err != nil {
		return err
	}
	p.add(data, more)
	return p.publish(docs, data, stdout)
}

// belongs reports why what is measured of some code by some plan does not belong to the data.
func (p *Page) belongs(d *Data, c *Code, plan Plan) error {
	if changed := d.Code.changed(c, p.Unused...); len(changed) > 0 || !reflect.DeepEqual(d.Plan, plan) {
		return fmt.Errorf("%w: what is there was measured in another way, or of other code (%s); run make %s", ErrStale, strings.Join(changed, ", "), p.Make)
	}
	return nil
}

// buildAndMeasure measures programs that it builds itself: figures are then those of
// the code that they name.
func (p *Page) buildAndMeasure(ctx context.Context, plan Plan, experiments []Experiment, stderr io.Writer) (data *Data, err error) {
	if err := p.Needs(); err != nil {
		return nil, err
	}
	bin, err := os.MkdirTemp("", "bench-bin")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	code, err := build(ctx, root, bin, p.measured())
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
func (p *Page) renderFiles(docs string) error {
	d, err := p.ReadData(docs)
	if err != nil {
		return err
	}
	if err := p.drawCharts(docs, d); err != nil {
		return err
	}
	return os.WriteFile(p.file(docs), []byte(p.render(d)), 0o644)
}

// check fails if the figures are not those of the code, or the page not that of the
// figures.
func (p *Page) check(ctx context.Context, docs string) error {
	d, err := p.ReadData(docs)
	if err != nil {
		return err
	}
	now, err := readCode(ctx, root, p.measured())
	if err != nil {
		return err
	}
	if changed := d.Code.changed(&now, p.Unused...); len(changed) > 0 {
		return fmt.Errorf("%w: these have changed since %s.md was measured (commit %s): %s\nrun make %s (it takes about %s) and commit docs/",
			ErrStale, p.Name, d.Code.Commit, strings.Join(changed, ", "), p.Make, shortly(d.Seconds))
	}
	page, err := os.ReadFile(p.file(docs))
	if err != nil {
		return err
	}
	if string(page) != p.render(d) {
		return fmt.Errorf("%w: %s.md is not what its data gives; run: %s -render", ErrStale, p.Name, p.command())
	}
	return nil
}
