package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// loadReport is what loadgen prints, as far as it is used here. What is nil was not
// measured.
type loadReport struct {
	Operations int64   `json:"ops"`
	Errors     int64   `json:"errors"`
	FirstError string  `json:"first_error"`
	Absent     int64   `json:"reads_absent"`
	Throughput float64 `json:"throughput_ops"`
	Latency    struct {
		Mean float64 `json:"mean"`
		P50  float64 `json:"p50"`
		P90  float64 `json:"p90"`
		P99  float64 `json:"p99"`
		P999 float64 `json:"p999"`
	} `json:"latency_ns"`
	Lag *struct {
		P99 float64 `json:"p99"`
	} `json:"schedule_lag_ns"`
	ServerCPU     *float64 `json:"server_cpu_us_per_op"`
	ClientCPU     *float64 `json:"client_cpu_us_per_op"`
	BytesSent     *float64 `json:"bytes_sent_per_op"`
	BytesReceived *float64 `json:"bytes_received_per_op"`
	OwnWrites     *struct {
		AtBegin float64 `json:"in_flight_at_begin"`
		AtEnd   float64 `json:"in_flight_at_end"`
	} `json:"own_writes"`
}

// errTooShort: no operation fell into the time that was to be measured, as this machine was busy
// with something else. What loadgen prints then has noneBegan in it.
var errTooShort = errors.New("too short")

const noneBegan = "no operation began within"

// tolerated is the share of operations that may fail before a run is thrown away: a
// node tells clients to slow down when too much is in flight.
const tolerated = 0.01

// loadWithin bounds a run of loadgen beyond the time that it was given.
const loadWithin = time.Minute

// loadgen makes a load once every key has been written, and that has come to rest: a
// read that finds nothing means that something else was measured.
func (r *runner) loadgen(ctx context.Context, t *target, flags ...string) (*loadReport, error) {
	ctx, cancel := context.WithTimeout(ctx, r.plan.duration()+r.plan.warmUp()+loadWithin)
	defer cancel()
	flags = append(t.filled(), flags...)
	p, err := r.load(ctx, t, flags)
	for lasts := r.lasts(flags); errors.Is(err, errTooShort) && r.plan.hasty; lasts *= 2 {
		p, err = r.load(ctx, t, append(flags, "--duration", (2*lasts).String()))
	}
	if err == nil && p.Absent > 0 {
		err = fmt.Errorf("%w at %s: %d reads found nothing, though every key was written", ErrLoad, t.system.Name, p.Absent)
	}
	return p, err
}

// load makes a load at a target, whatever it finds.
func (r *runner) load(ctx context.Context, t *target, flags []string) (*loadReport, error) {
	l, err := r.start(ctx, t, t.address, flags)
	if err != nil {
		return nil, err
	}
	return l.wait()
}

// lasts is how long loadgen measures with flags behind those that all loads share.
func (r *runner) lasts(flags []string) time.Duration {
	d := r.plan.duration()
	for i := 1; i < len(flags); i++ {
		if given, err := time.ParseDuration(flags[i]); flags[i-1] == "--duration" && err == nil {
			d = given
		}
	}
	return d
}

// filled are flags of loadgen: a map has what the same process has written, and no more.
func (t *target) filled() []string {
	if t.system.Kind == kindMap {
		return append([]string{"--preload"}, t.system.Client...)
	}
	return slices.Clone(t.system.Client)
}

// loader is a loadgen that runs.
type loader struct {
	at       *target
	flags    []string
	command  *exec.Cmd
	out, bad bytes.Buffer
}

// start starts loadgen at an address of a target. When ctx ends it is killed.
func (r *runner) start(ctx context.Context, t *target, address string, flags []string) (*loader, error) {
	words, err := t.system.under(ofLoadgen)
	if err != nil {
		return nil, err
	}
	words = append(words, r.loader(), "--json", "--target", address)
	words = slices.Concat(words, r.plan.common(), t.pids(), flags)
	l := &loader{at: t, flags: flags, command: exec.CommandContext(ctx, words[0], words[1:]...)}
	l.command.Stdout, l.command.Stderr = &l.out, &l.bad
	return l, l.failed(l.command.Start())
}

func (l *loader) failed(err error) error {
	if err == nil {
		return nil
	}
	text := strings.TrimSpace(l.bad.String())
	if strings.Contains(text, noneBegan) {
		err = errors.Join(errTooShort, err)
	}
	return errors.Join(fmt.Errorf("%w at %s, %s: %w: %s", ErrLoad, l.at.system.Name, strings.Join(l.flags, " "), err, text), l.at.alive())
}

// stop has it end its load now, and report what it has measured.
func (l *loader) stop() (*loadReport, error) {
	return l.wait(l.command.Process.Signal(os.Interrupt))
}

// wait waits for its report.
func (l *loader) wait(failures ...error) (*loadReport, error) {
	if err := errors.Join(l.command.Wait(), errors.Join(failures...)); err != nil {
		return nil, l.failed(err)
	}
	p := &loadReport{}
	if err := json.Unmarshal(l.out.Bytes(), p); err != nil {
		return nil, fmt.Errorf("%w: result: %w", ErrLoad, err)
	}
	if float64(p.Errors) > tolerated*float64(p.Operations) {
		return nil, fmt.Errorf("%w at %s: %d operations failed, the first with: %s", ErrLoad, l.at.system.Name, p.Errors, p.FirstError)
	}
	return p, nil
}

// alive says whether a server has ended.
func (t *target) alive() error {
	if t.ring != nil {
		if err := t.ring.Alive(); err != nil {
			return err
		}
	}
	for _, p := range t.programs {
		select {
		case <-p.process.Ended():
			return fmt.Errorf("%w: %s has ended (%v): %s", ErrServer, p.Name, p.process.Err(), p.logEnd())
		default:
		}
	}
	return nil
}

// metrics are the report's figures under their names in the data.
func (p *loadReport) metrics() map[Metric]float64 {
	m := map[Metric]float64{
		Operations: float64(p.Operations), Failures: float64(p.Errors), Throughput: p.Throughput,
		Mean: p.Latency.Mean, P50: p.Latency.P50, P90: p.Latency.P90, P99: p.Latency.P99, P999: p.Latency.P999,
	}
	if p.Lag != nil {
		m[Lag] = p.Lag.P99
	}
	if p.OwnWrites != nil {
		m[OwnAtBegin], m[OwnAtEnd] = p.OwnWrites.AtBegin, p.OwnWrites.AtEnd
	}
	for name, value := range map[Metric]*float64{
		ServerCPU: p.ServerCPU, ClientCPU: p.ClientCPU, BytesSent: p.BytesSent, BytesReceived: p.BytesReceived,
	} {
		if value != nil {
			m[name] = *value
		}
	}
	return m
}

// fill writes all keys: the plan's, or those that the flags say. A map is filled by who
// reads it.
func (r *runner) fill(ctx context.Context, t *target, what []string) error {
	if t.borrowed || t.system.Kind == kindMap {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, fillWithin)
	defer cancel()
	flags := append(slices.Clone(what), "--preload", "--conns", "4", "--depth", "32", "--read-ratio", "1", "--warmup", "0s", "--duration", "1ms")
	// What it reads after that may not be visible yet, and may be nothing.
	if _, err := r.load(within, t, flags); err != nil && !errors.Is(err, errTooShort) {
		return err
	}
	if t.system.Kind == kindRedis && len(what) > 0 {
		return t.programs[0].save(within)
	}
	return t.rest(ctx)
}

// common are the flags that all loads share.
func (p *Plan) common() []string {
	return []string{
		"--keys", strconv.Itoa(p.Keys), "--value-size", strconv.Itoa(valueBytes), "--dist", "uniform",
		"--duration", p.duration().String(), "--warmup", p.warmUp().String(),
	}
}
