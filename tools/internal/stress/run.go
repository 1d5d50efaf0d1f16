package stress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// session is one run of the program.
type session struct {
	o         *options
	out       io.Writer
	test2json string
	began     time.Time
	report    report
	kept      int // outputs of failures
}

// note prints a line of progress.
func (s *session) note(format string, args ...any) {
	fmt.Fprintf(s.out, "%8s  %s\n", time.Since(s.began).Round(time.Second), fmt.Sprintf(format, args...))
}

// run does what the options ask for.
func run(ctx context.Context, o *options, out io.Writer) error {
	if _, err := regexp.Compile(o.run); err != nil {
		return fmt.Errorf("%w: -run: %w", ErrUsage, err)
	}
	var err error
	if o.folder, err = filepath.Abs(o.folder); err != nil {
		return err
	}
	if err := prepare(o.folder); err != nil {
		return err
	}
	s := &session{o: o, out: out, began: time.Now(), report: report{maySkip: o.maySkip}}
	if s.test2json, err = converter(ctx); err != nil {
		return err
	}
	suites, err := compile(ctx, o, s.note)
	if err != nil {
		return err
	}
	units, err := s.measure(ctx, suites)
	if err != nil {
		return err
	}
	stop, err := load(ctx, o.load)
	if err != nil {
		return err
	}
	err = s.work(ctx, units)
	stop()
	return errors.Join(err, s.finish()) // an interrupted run has counted, too
}

// prepare makes the folder of output, without that of an earlier run. Other files stay.
func prepare(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, own := range []string{"*.test", "failure-*.txt", "tests.txt"} {
		paths, err := filepath.Glob(filepath.Join(folder, own))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure runs each suite once, alone, and plans the runs to come.
func (s *session) measure(ctx context.Context, suites []*suite) (units []*unit, err error) {
	random := newRandom(s.o.seed)
	for _, x := range suites {
		s.note("timing the tests of %s", x)
		first := &unit{suite: x, choice: s.o.run, count: 1, seed: int64(random.Uint32())}
		r, err := first.run(ctx, s.test2json, s.o.timeout)
		if err != nil {
			return nil, err
		}
		var tests []known
		for _, name := range sortedKeys(r.tests) {
			t := r.tests[name]
			k := known{name: name, took: t.longest}
			tests = append(tests, k)
			s.report.records = append(s.report.records, &record{suite: x, name: name, quiet: k.took, wanted: s.o.wanted(k)})
		}
		if r.failed {
			if err := s.keep(r); err != nil {
				return nil, err
			}
		}
		// This run was without load, so only its failures count.
		for _, t := range r.tests {
			t.runs, t.skips = t.failures, 0
		}
		s.report.add(r)
		units = append(units, plan(x, tests, s.o, random)...)
	}
	if len(units) == 0 {
		return nil, fmt.Errorf("%w: no test of %s matches -run %q", ErrUsage, strings.Join(s.o.packages, " "), s.o.run)
	}
	random.Shuffle(len(units), func(i, j int) { units[i], units[j] = units[j], units[i] })
	return units, nil
}

// progressEvery is how often a line of progress is printed.
const progressEvery = 15 * time.Second

// work runs the units, several at once.
func (s *session) work(ctx context.Context, units []*unit) error {
	s.note("%d processes to run, %d at once, beside a load of %d processes: alone and one after the other they would take %s",
		len(units), s.o.jobs, s.o.load, s.report.alone().Round(time.Second))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := make(chan *unit)
	results := make(chan *result)
	failures := make(chan error, s.o.jobs)
	var workers sync.WaitGroup
	for range s.o.jobs {
		workers.Go(func() {
			for u := range next {
				r, err := u.run(ctx, s.test2json, s.o.timeout)
				if r != nil {
					results <- r
				}
				if err != nil {
					failures <- err
					cancel()
					return
				}
			}
		})
	}
	go func() {
		defer close(next)
		for _, u := range units {
			select {
			case next <- u:
			case <-ctx.Done():
				return
			}
		}
	}()
	go func() {
		workers.Wait()
		close(results)
	}()
	began, done := time.Now(), 0
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	var err error
	for {
		select {
		case r, more := <-results:
			if !more {
				close(failures)
				for e := range failures {
					err = errors.Join(err, e)
				}
				return err
			}
			done++
			s.report.add(r)
			if r.failed {
				err = errors.Join(err, s.keep(r))
			}
		case <-ticker.C:
			left := "?"
			if done > 0 {
				left = (time.Since(began) * time.Duration(len(units)-done) / time.Duration(done)).Round(time.Second).String()
			}
			s.note("%d of %d processes, about %s left, %d failures", done, len(units), left, s.report.failures())
		}
	}
}

// keep writes the output of a failed unit to a file, and prints its name.
func (s *session) keep(r *result) error {
	s.kept++
	path := filepath.Join(s.o.folder, fmt.Sprintf("failure-%d.txt", s.kept))
	for _, name := range sortedKeys(r.tests) {
		if n := r.tests[name].failures; n > 0 {
			s.note("FAILED %d times: %s in %s: %s", n, name, r.unit.suite, path)
		}
	}
	return os.WriteFile(path, append([]byte(r.command+"\n\n"), r.output...), 0o644)
}

// finish writes the table of all tests, and prints what did not pass.
func (s *session) finish() error {
	file, err := os.Create(filepath.Join(s.o.folder, "tests.txt"))
	if err != nil {
		return err
	}
	s.report.write(file, true)
	if err := file.Close(); err != nil {
		return err
	}
	text, err := s.report.verdict()
	if err != nil {
		s.report.write(s.out, false)
	}
	s.note("%s; all of them: %s", text, file.Name())
	return err
}
