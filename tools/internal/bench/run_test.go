package bench

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"causalmesh/bpf"
)

// tiny measures everything as short as it goes: a load that is over before an operation begins is
// made again, for longer.
func tiny() Plan {
	return Plan{
		Rounds: 1, Seconds: 0.02, WarmUp: 0.001, Idle: 0.001, Keys: 500, Pasts: []int{1, 10, 20}, Own: []int{0, 2},
		Rates: []float64{500, 2000}, Entries: 2000, Steps: 2,
		Attached: 0.001, hasty: true,
		Growth: Growing{
			Rounds: 1, Seconds: 0.02, WarmUp: 0.001, Keys: []int{100, 500}, Sizes: []int{8, 4096},
			Pasts: []int{1, 10}, Own: []int{0, 2}, Conns: []int{1, 4},
		},
	}
}

// repository is the folder of the module.
func repository(t *testing.T) string {
	folder, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// servers skips a test where there is nothing to compare with.
func servers(t *testing.T) {
	t.Helper()
	for _, name := range []string{"redis-server", "memcached"} {
		if _, err := find(name); err != nil {
			t.Skip(err)
		}
	}
}

// TestEverything runs each experiment on real servers, writes the page, and checks it.
func TestEverything(t *testing.T) {
	servers(t)
	testPage(t, performance, tiny(), "daemon")
}

// TestProbes does the same with probes in the kernel.
func TestProbes(t *testing.T) {
	if err := bpf.CheckHost(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	testPage(t, latencies, Plan{Rounds: 1, Seconds: 0.02, WarmUp: 0.01, Keys: 500, hasty: true}, "bpf")
	if left, err := filepath.Glob(pinsRoot() + "*"); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

func testPage(t *testing.T, p *Page, plan Plan, pkg string) {
	t.Chdir(repository(t))
	experiments := p.Experiments(plan)
	var progress bytes.Buffer
	data, err := p.buildAndMeasure(t.Context(), plan, experiments, &progress)
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	for i := range experiments {
		complete(t, data, &experiments[i])
	}
	seen(data)
	docs := t.TempDir()
	if err := p.WriteData(docs, data); err != nil {
		t.Fatal(err)
	}
	if err := p.renderFiles(docs); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(p.file(docs))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(page), "not measured") || strings.Contains(string(page), "NaN") {
		t.Errorf("the page has gaps:\n%s", page)
	}
	if strings.Contains(string(page), os.TempDir()) {
		t.Errorf("the page names this run's files:\n%s", page)
	}
	for _, e := range experiments {
		for _, f := range e.Charts {
			for _, ending := range []string{".svg", ".png"} {
				name := p.Name + "/" + f.file(&e) + ending
				if _, err := os.Stat(filepath.Join(docs, name)); err != nil || !strings.Contains(string(page), name) {
					t.Errorf("%s: no such file, or the page does not show it: %v", name, err)
				}
			}
		}
	}
	staleness(t, p, docs, data, pkg)
}

// seen has clocks that tick in 10 ms see something of every load: there is no ratio to nothing.
func seen(data *Data) {
	for _, r := range data.Results {
		for _, s := range r.Samples {
			for m, v := range s.Values {
				if v == 0 {
					s.Values[m] = 1
				}
			}
		}
	}
}

// complete fails if a system that was there was not measured under some load.
func complete(t *testing.T, data *Data, e *Experiment) {
	r := data.result(e.ID)
	if r == nil {
		t.Errorf("%s was not run", e.ID)
		return
	}
	for _, s := range e.Systems {
		if reason := r.Missing[s.Name]; reason != "" {
			t.Logf("%s: %s cannot be measured here: %s", e.ID, s.Name, reason)
			continue // only those that may be missing are let pass
		}
		for _, table := range e.Tables {
			if len(table.Systems) > 0 && !slices.Contains(table.Systems, s.Name) {
				continue
			}
			// A load whose samples have places of their own has one of them at least.
			places := r.xs(table.Load)
			has := false
			for _, l := range e.Loads {
				if l.Name == table.Load && l.at(s.Name) {
					if has = true; len(places) == 0 || l.X > 0 && !slices.Contains(places, l.X) {
						t.Errorf("%s: nothing was measured under %s", e.ID, l.label())
					}
				}
			}
			if !has {
				continue
			}
			for _, x := range places {
				for _, m := range table.Columns {
					optional := e.ID == "shm" && (m == Send || m == SendP50) || m == ServerCPU && s.Kind == kindMap
					if len(r.values(table.Load, s.Name, x, m)) == 0 && !optional {
						t.Errorf("%s: %s of %s under %s at %v was not measured", e.ID, m, s.Name, table.Load, x)
					}
				}
			}
		}
	}
}

// staleness: a page is that of its code, such as a package, until either changes.
func staleness(t *testing.T, p *Page, docs string, data *Data, pkg string) {
	if err := p.check(t.Context(), docs); err != nil {
		t.Errorf("figures of this code: %v", err)
	}
	page := p.file(docs)
	if err := os.WriteFile(page, []byte("# Performance\n\nIt is fast.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.check(t.Context(), docs); !errors.Is(err, ErrStale) || !strings.Contains(err.Error(), "-render") {
		t.Errorf("a page that somebody has edited: %v", err)
	}
	data.Code.Packages[pkg] = "before"
	if err := p.WriteData(docs, data); err != nil {
		t.Fatal(err)
	}
	err := p.check(t.Context(), docs)
	if !errors.Is(err, ErrStale) || !strings.Contains(err.Error(), ": "+pkg+"\n") || !strings.Contains(err.Error(), "make "+p.Make+" ") {
		t.Errorf("figures of other code: %v", err)
	}
	if err := p.check(t.Context(), t.TempDir()); !errors.Is(err, ErrData) {
		t.Errorf("no figures: %v", err)
	}
}

// TestNoLoadThatFails: a run whose servers fail gives no figures.
func TestNoLoadThatFails(t *testing.T) {
	servers(t)
	bin := t.TempDir()
	if _, err := build(t.Context(), repository(t), bin, performance.measured()); err != nil {
		t.Fatal(err)
	}
	experiments := []Experiment{{
		ID: "short", Systems: []System{{Name: nameRedis, Kind: kindRedis}},
		Loads: []Load{{Name: loadRead, Flags: one("1", "--rate", "20", "--duration", "1ms")}}, // The first is due later.
	}}
	d, err := measure(t.Context(), bin, tiny(), experiments, &bytes.Buffer{})
	if err != nil || d.Results[0].Samples[0].Values[Operations] < 1 {
		t.Errorf("a load that is too short: %+v, %v", d, err)
	}
	experiments = []Experiment{{
		ID: "broken", Systems: []System{{Name: nameRedis, Kind: kindRedis}},
		Loads: []Load{{Name: loadRead, Flags: one("1", "--keys", "10000000")}}, // nearly none was ever written
	}}
	began := time.Now()
	_, err = measure(t.Context(), bin, tiny(), experiments, &bytes.Buffer{})
	if !errors.Is(err, ErrLoad) || !strings.Contains(err.Error(), "found nothing") {
		t.Errorf("after %v: %v, want %v", time.Since(began), err, ErrLoad)
	}
	experiments[0].Systems[0] = System{Name: nameMesh, Flags: []string{"--no-such-flag"}}
	if _, err = measure(t.Context(), bin, tiny(), experiments, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("a node that does not start: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err = measure(t.Context(), bin, tiny(), experiments, &bytes.Buffer{}); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "apt-get install") {
		t.Errorf("without Redis: %v", err)
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		line string
		code int
		says string
	}{
		{"-help", exitDone, "usage: bench"},
		{"-nonsense", exitUsage, "see bench -help"},
		{"fast", exitUsage, `unexpected argument "fast"`},
		{"-only nothing", exitUsage, "use some of latency, "},
		{"-render -docs /no/such/folder", exitFailed, "no such file"},
		{"-check -docs /no/such/folder", exitFailed, "no such file"},
	} {
		var out, bad bytes.Buffer
		code := Main(strings.Fields(c.line), &out, &bad)
		if said := out.String() + bad.String(); code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("bench %s: exit code %d, want %d: %s", c.line, code, c.code, said)
		}
	}
}

// TestMemcachedArgs: what the package sets stays, but for where it listens and as whom.
func TestMemcachedArgs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memcached.conf")
	text := "# memory\n-m 64\n\n-d\nlogfile /var/log/memcached.log\n-p 11211\n-u memcache\n-l 127.0.0.1\n-c 2048\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	args, err := memcachedArgs(path)
	if got := strings.Join(args, " "); err != nil || got != "-m 64 -c 2048" {
		t.Errorf("%q, %v", got, err)
	}
}
