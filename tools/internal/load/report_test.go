package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSchema: other programs read these fields.
func TestSchema(t *testing.T) {
	type result struct {
		Ops        *int64             `json:"ops"`
		Errors     *int64             `json:"errors"`
		Throughput *float64           `json:"throughput_ops"`
		Latency    map[string]float64 `json:"latency_ns"`
		ServerCPU  *float64           `json:"server_cpu_us_per_op"`
	}
	get := func(t *testing.T, args ...string) (r result, fields map[string]json.RawMessage) {
		synctest.Test(t, func(t *testing.T) {
			_, o := newFake(t, 1, append(args, "--warmup", "0s", "--duration", "100ms")...)
			var b bytes.Buffer
			if err := mustRun(t, o).WriteJSON(&b); err != nil {
				t.Fatal(err)
			}
			if strings.Count(b.String(), "\n") != 1 {
				t.Errorf("more than a line: %s", &b)
			}
			for _, into := range []any{&r, &fields} {
				if err := json.Unmarshal(b.Bytes(), into); err != nil {
					t.Fatal(err)
				}
			}
		})
		return r, fields
	}
	r, fields := get(t)
	if r.Ops == nil || *r.Ops != 100 || r.Errors == nil || *r.Errors != 0 || r.Throughput == nil || *r.Throughput != 1000 {
		t.Errorf("%+v", r)
	}
	for _, p := range []string{"mean", "p50", "p90", "p99", "p999", "max"} {
		if !within(int64(r.Latency[p]), ms) {
			t.Errorf("%s is %v ns, want a millisecond", p, r.Latency[p])
		}
	}
	if len(r.Latency) != 6 || string(fields["server_cpu_us_per_op"]) != "null" {
		t.Errorf("latencies %v, CPU %s", r.Latency, fields["server_cpu_us_per_op"])
	}
	if r, _ = get(t, "--server-pid", strconv.Itoa(os.Getpid())); r.ServerCPU == nil || *r.ServerCPU < 0 {
		t.Errorf("CPU time per operation: %v", r.ServerCPU)
	}
}

// TestServerEnds: the CPU time of a server that ends during the load says nothing.
func TestServerEnds(t *testing.T) {
	command := exec.Command("/bin/sleep", "60")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	m, err := newMeter([]int{command.Process.Pid})
	if err == nil {
		err = m.begin()
	}
	_ = command.Process.Kill()
	_ = command.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.end(); err == nil {
		t.Error("no error")
	}
	if _, err := newMeter([]int{command.Process.Pid}); !errors.Is(err, ErrUsage) {
		t.Errorf("%v, want ErrUsage", err)
	}
}

func TestPerOperation(t *testing.T) {
	m := &meter{used: usage{2 * time.Second, time.Second}, window: 4 * time.Second}
	if got, client := m.perRequest(1000); got != nil || client != 250 {
		t.Errorf("%v without servers, own %v", got, client)
	}
	servers, err := newMeter([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	m.servers = servers.servers
	if got, _ := m.perRequest(1000); got == nil || *got != 500 {
		t.Errorf("%v µs, want 500: half a processor for 1000 operations per second", got)
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	p := &progress{to: &b}
	all := newTally(time.Minute, false)
	r := &recorder{tally: all}
	for range 100 {
		r.add(operation{read: true, count: 1, latency: 12300 * time.Nanosecond, measured: true})
	}
	r.add(operation{count: 1, err: errFake, measured: true})
	p.show("measuring", 2*time.Second, &r.tally)
	for _, want := range []string{"measuring", "2s", "50 ops/s", "p50 12.3 µs", "errors 1"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %q", want, b.String())
		}
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if newProgress(file) != nil {
		t.Error("a file that is no terminal shows progress")
	}
	var none *progress
	none.clear() // shows nothing, and does not fail
}

func TestRecorderBounds(t *testing.T) {
	r := &recorder{tally: newTally(time.Second, true)}
	r.add(operation{latency: -time.Second, measured: true})
	r.add(operation{latency: time.Hour, lag: time.Hour, measured: true})
	if got := r.writes.TotalCount(); got != 2 || !within(r.writes.Max(), int64(time.Second)) {
		t.Errorf("%d latencies up to %d", got, r.writes.Max())
	}
}
