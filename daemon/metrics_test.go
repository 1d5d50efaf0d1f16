package daemon

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"causalmesh/causal"
	"causalmesh/daemon/store"
	"causalmesh/ring"
	"causalmesh/ring/netloop"
)

// scraped are the metrics of one scrape, by name.
type scraped map[string]*dto.MetricFamily

// scrape asks a node for its metrics until its loop answers in time.
func (c *cluster) scrape(i int) (s scraped) {
	c.t.Helper()
	eventually(c.t, "the loop answers a scrape", func() bool {
		s = parseMetrics(c.t, c.scrapeText(i))
		return s.value(c.t, "causalmesh_up") == 1
	})
	return s
}

func (c *cluster) scrapeText(i int) string {
	c.t.Helper()
	code, body := get(c.t.(*testing.T), c.nodes[i].Addresses().Admin, "/metrics")
	if code != http.StatusOK {
		c.t.Fatalf("/metrics: %d %s", code, body)
	}
	return body
}

func parseMetrics(t testing.TB, text string) scraped {
	t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	s, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// find returns the one metric with these labels, name and value by turns.
func (s scraped) find(t testing.TB, name string, labels ...string) *dto.Metric {
	t.Helper()
	var found []*dto.Metric
	for _, m := range s[name].GetMetric() {
		if match := len(m.Label) == len(labels)/2; match {
			for _, l := range m.Label {
				at := slices.Index(labels, l.GetName())
				match = match && at >= 0 && labels[at+1] == l.GetValue()
			}
			if match {
				found = append(found, m)
			}
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d of %s%v", len(found), name, labels)
	}
	return found[0]
}

// value is that of a counter or gauge.
func (s scraped) value(t testing.TB, name string, labels ...string) float64 {
	t.Helper()
	m := s.find(t, name, labels...)
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

// sum is that of all of a name.
func (s scraped) sum(name string) (sum float64) {
	for _, m := range s[name].GetMetric() {
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return sum
}

// What is not to be in the metrics: what Prometheus' own collectors say better, sums, and
// texts without a bound.
var notInMetrics = []string{
	"Process.PID", "Process.UptimeSeconds", "Process.RSSBytes", "Process.HeapBytes", "Process.HeapAllocs", "Process.Goroutines",
	"Daemon.Requests", "Daemon.Operations[0]", "Daemon.Failures[0]", "Server.Epoch", "Server.Draining",
	"NotReady", "Boot", "Config.BPF", "Config.Digest", "Config.Store", "Peers[0].NoLink", "Peers[0].Refused", "Peers[0].LastBoot",
}

// All that the status counts is in the metrics. Each field gets a value of its own, which
// has to turn up.
func TestStatusIsInTheMetrics(t *testing.T) {
	s := Status{Server: &causal.Status{Replicas: 1}, Store: &store.Stats{}, Peers: make([]PeerStatus, 1)}
	for _, v := range []*causal.VectorClock{&s.Server.Received, &s.Server.Everywhere, &s.Server.Stable, &s.Server.Flushed} {
		*v = make(causal.VectorClock, 1)
	}
	want := map[string]string{} // what has to turn up, by field
	next, small := 100, uint64(40)
	fill(reflect.ValueOf(&s).Elem(), "", func(field string, v reflect.Value) {
		next++
		switch {
		case field == "Server.Replicas":
			v.SetInt(57) // one more than the origins, which are labels
			want[field] = "57"
			return
		case v.Kind() == reflect.Bool:
			return // both values are everywhere; below
		case v.Kind() == reflect.String:
			v.SetString(field)
			want[field] = field
			return
		case v.CanInt():
			v.SetInt(int64(next))
		case v.CanUint() && v.Type().Bits() == 8:
			small++
			v.SetUint(small)
			want[field] = strconv.FormatUint(small, 10)
			return
		case v.CanUint():
			v.SetUint(uint64(next))
		default: // a float
			v.SetFloat(float64(next))
		}
		want[field] = strconv.Itoa(next)
	})
	got := texts(t, &s)
	for _, field := range slices.Sorted(maps.Keys(want)) {
		if in := slices.Contains(notInMetrics, field); got[want[field]] == in {
			t.Errorf("%s is %s in the status; in the metrics: %v", field, want[field], in)
		}
	}
	// Of a truth, that some metric changes with it.
	fill(reflect.ValueOf(&s).Elem(), "", func(field string, v reflect.Value) {
		if v.Kind() != reflect.Bool || slices.Contains(notInMetrics, field) {
			return
		}
		before := dump(t, &s)
		v.SetBool(true)
		if dump(t, &s) == before {
			t.Errorf("%s changes no metric", field)
		}
		v.SetBool(false)
	})
}

// fill visits all fields that hold one value.
func fill(v reflect.Value, name string, visit func(field string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		fill(v.Elem(), name, visit)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), strings.TrimPrefix(name+"."+v.Type().Field(i).Name, "."), visit)
		}
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), fmt.Sprintf("%s[%d]", name, i), visit)
		}
	default:
		visit(name, v)
	}
}

// gathered are the metrics of a status.
func gathered(t testing.TB, s *Status) []*dto.MetricFamily {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(ofStatus{newCollector(nil), s})
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

type ofStatus struct {
	*collector
	s *Status
}

func (o ofStatus) Collect(out chan<- prometheus.Metric) { o.collect(o.s, out) }

// texts are all values of metrics and their labels.
func texts(t testing.TB, s *Status) map[string]bool {
	all := map[string]bool{}
	for _, f := range gathered(t, s) {
		for _, m := range f.Metric {
			all[strconv.FormatFloat(m.GetCounter().GetValue()+m.GetGauge().GetValue(), 'f', -1, 64)] = true
			for _, l := range m.Label {
				all[l.GetValue()] = true
			}
		}
	}
	return all
}

func dump(t testing.TB, s *Status) string { return fmt.Sprint(gathered(t, s)) }

// What clients ask for is counted exactly, by operation, and what fails by reason, over one
// loop and several.
func TestRequestsAreInTheMetrics(t *testing.T) {
	for _, loops := range []int{1, 3} {
		t.Run(fmt.Sprint("loops ", loops), func(t *testing.T) {
			d := startDatabase(t)
			c := startCluster(t, 1, func(c *Config) { c.Loops, c.Store = loops, d.SocketURL() })
			const conns = 5
			want := map[causal.Op]int{}
			for i := range conns {
				s := c.session(0)
				do := func(n int, op causal.Op, value string, keys ...string) {
					want[op] += n
					for range n {
						if _, err := s.do(op, value, keys...); err != nil {
							t.Fatal(err)
						}
					}
				}
				do(20+i, causal.OpWrite, "v", "k")
				do(50, causal.OpRead, "", "k")
				do(7, causal.OpReadMany, "", "k", "other")
				do(3, causal.OpDelete, "", "k")
				do(11, causal.OpSync, "")
				s.forge = func(r *causal.Request) { r.Keys = nil }
				want[causal.OpWrite] += 2
				s.fails(causal.ErrBadRequest, causal.OpWrite, "v", "k")
				s.fails(causal.ErrBadRequest, causal.OpWrite, "v", "k")
				s.forge = func(r *causal.Request) { r.Keys = [][]byte{[]byte("causalmesh:v:k")} } // refused before the core
				want[causal.OpWrite]++
				s.fails(causal.ErrBadRequest, causal.OpWrite, "v", "k")
				s.forge = func(r *causal.Request) { r.Epoch = 1 }
				want[causal.OpRead]++
				s.fails(causal.ErrEpoch, causal.OpRead, "", "k")
			}
			sent := 0
			for _, n := range want {
				sent += n
			}
			var got scraped
			eventually(t, "all loops have told what they have counted", func() bool {
				got = c.scrape(0) // a request may be told before its failure
				return got.sum("causalmesh_requests_total") >= float64(sent) && got.sum("causalmesh_request_errors_total") >= 4*conns
			})
			for op, n := range want {
				if m := got.value(t, "causalmesh_requests_total", "operation", op.String()); m != float64(n) {
					t.Errorf("%v of %v are counted, want %d", m, op, n)
				}
			}
			for reason, n := range map[string]int{"bad-request": 3 * conns, "epoch": conns} {
				if m := got.value(t, "causalmesh_request_errors_total", "reason", reason); m != float64(n) {
					t.Errorf("%v failures are counted for %s, want %d", m, reason, n)
				}
			}
			if n := got.sum("causalmesh_request_errors_total"); n != 4*conns {
				t.Errorf("%v failures, want %d", n, 4*conns)
			}
			if n := got.value(t, "causalmesh_clients"); n != conns {
				t.Errorf("%v clients, want %d", n, conns)
			}
			s := c.status(0)
			if s.Daemon.Requests != uint64(sent) || s.Daemon.Operations[causal.OpSync] != 11*conns || s.Daemon.Failures[causal.CodeEpoch] != conns {
				t.Errorf("the status has %d requests, %v, %v", s.Daemon.Requests, s.Daemon.Operations, s.Daemon.Failures)
			}
			var back Status
			text, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back.Daemon, s.Daemon) {
				t.Errorf("%+v has become %+v, %v", s.Daemon, back.Daemon, err)
			}
		})
	}
}

// A counter does not fall while the node lives, whatever happens meanwhile.
func TestCountersDoNotFall(t *testing.T) {
	c := startCluster(t, 2, nil)
	last := c.scrape(0)
	for round := range 20 {
		s := c.session(0)
		s.write("k", fmt.Sprint(round))
		s.read("k")
		_ = s.c.Close()
		now := c.scrape(0)
		for name, f := range last {
			if f.GetType() != dto.MetricType_COUNTER || !strings.HasPrefix(name, namespace) {
				continue
			}
			for _, m := range f.Metric {
				var labels []string
				for _, l := range m.Label {
					labels = append(labels, l.GetName(), l.GetValue())
				}
				if was, is := m.GetCounter().GetValue(), now.value(t, name, labels...); is < was {
					t.Fatalf("%s%v was %v and is %v", name, labels, was, is)
				}
			}
		}
		last = now
	}
	eventually(t, "all loops have told what they have counted", func() bool {
		return c.scrape(0).value(t, "causalmesh_requests_total", "operation", "write") == 20
	})
}

// A node whose loop does not answer says so, and what the process does.
func TestMetricsOfASilentLoop(t *testing.T) {
	cfg := DefaultConfig()
	cfg.BPFPins = t.TempDir()
	n := newNode(cfg, nil, slog.New(slog.DiscardHandler), []ring.Loop{netloop.New(ring.Options{})}) // its loop does not run
	n.askTimeout = time.Millisecond
	server := httptest.NewServer(newMetricsHandler(newCollector(n)))
	defer server.Close()
	code, body := get(t, server.Listener.Addr().String(), "/")
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	s := parseMetrics(t, body)
	if s.value(t, "causalmesh_up") != 0 || s["causalmesh_ready"] != nil || s.value(t, "process_resident_memory_bytes") == 0 || s.value(t, "go_goroutines") == 0 {
		t.Fatal(body)
	}
}

// Scrapes beyond the limit are refused, and no others.
func TestTooManyScrapes(t *testing.T) {
	cfg := DefaultConfig()
	cfg.BPFPins = t.TempDir()
	n := newNode(cfg, nil, slog.New(slog.DiscardHandler), []ring.Loop{netloop.New(ring.Options{})}) // its loop does not run
	n.askTimeout = never
	server := httptest.NewServer(newMetricsHandler(newCollector(n)))
	defer server.Close()
	codes := make(chan int, maxScrapes)
	for range cap(codes) {
		go func() {
			r, err := http.Get(server.URL)
			if err != nil {
				t.Error(err)
				codes <- 0
				return
			}
			_ = r.Body.Close()
			codes <- r.StatusCode
		}()
	}
	eventually(t, "they wait for the loop", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return len(n.posted) == maxScrapes
	})
	if code, body := get(t, server.Listener.Addr().String(), "/"); code != http.StatusServiceUnavailable {
		t.Errorf("one more: %d %s", code, body)
	}
	close(n.ended) // they need not wait any longer
	for range cap(codes) {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("one within the limit: %d", code)
		}
	}
}
