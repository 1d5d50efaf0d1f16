package daemon

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// fullScrape is what a node with everything tells: neighbours, a database, clients, probes.
func fullScrape(t *testing.T) (scraped, string) {
	t.Helper()
	if fullPage == "" {
		fullPage = scrapeAll(t)
	}
	return parseMetrics(t, fullPage), fullPage
}

// fullPage is what fullScrape has scraped, once for all tests.
var fullPage string

func scrapeAll(t *testing.T) string {
	t.Helper()
	d := startDatabase(t)
	c := probedCluster(t, 3, func(c *Config) { c.Store = d.SocketURL() })
	c.probe()
	for i := range c.nodes {
		s := c.session(i)
		s.write("k", "v")
		s.read("k")
	}
	var text string
	eventually(t, "the loop answers a scrape", func() bool {
		text = c.scrapeText(0)
		return strings.Contains(text, "\ncausalmesh_up 1\n")
	})
	return text
}

// Names and texts are as Prometheus would have them.
func TestMetricsKeepConventions(t *testing.T) {
	s, text := fullScrape(t)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for name, f := range s {
		if help := f.GetHelp(); strings.HasPrefix(name, namespace) && (len(help) < 10 || !strings.HasSuffix(help, ".")) {
			t.Errorf("%s has the help %q, which is no sentence", name, help)
		}
	}
}

// dashboard is what matters here of Grafana's format.
type dashboard struct {
	Title      string
	UID        string
	Panels     []panel
	Templating struct {
		List []struct {
			Name, Type, Definition string
		}
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults struct{ Unit string }
	}
	Options struct {
		YAxis struct{ Unit string }
	}
	Targets []struct {
		RefID, Expr, LegendFormat string
		Datasource                struct{ UID string }
	}
}

// The dashboard asks for what a real node tells, and shows it in units that it has.
func TestDashboardFitsTheMetrics(t *testing.T) {
	text, err := os.ReadFile("../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	s, _ := fullScrape(t)
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		for _, name := range metricNames(v.Definition) {
			if s[name] == nil {
				t.Errorf("the variable %s asks for %s, which no node tells", v.Name, name)
			}
		}
	}
	if !slices.Equal(variables, []string{"DS_PROMETHEUS", "node"}) || d.Title == "" || d.UID == "" {
		t.Errorf("%q has the variables %v", d.Title, variables)
	}
	ids, titles, rows := map[int]bool{}, map[string]bool{}, 0
	for i, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || titles[p.Title] || p.Title == "" {
			t.Errorf("panel %d, %q, is there twice or nameless", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		for _, q := range d.Panels[:i] {
			if a, b := p.GridPos, q.GridPos; a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%q lies on %q", p.Title, q.Title)
			}
		}
		if p.Type == "row" {
			rows++
			continue
		}
		checkPanel(t, s, &d.Panels[i])
	}
	if rows != 6 || len(d.Panels) < 30 {
		t.Errorf("%d rows, %d panels", rows, len(d.Panels))
	}
}

func checkPanel(t *testing.T, s scraped, p *panel) {
	t.Helper()
	if len(p.Description) < 20 || len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
		t.Errorf("%q: description %q, %d targets, at %+v", p.Title, p.Description, len(p.Targets), p.GridPos)
	}
	unit := p.FieldConfig.Defaults.Unit
	if p.Type == "heatmap" {
		unit = p.Options.YAxis.Unit
	}
	for _, target := range p.Targets {
		e, err := parseExpr(target.Expr)
		if err != nil {
			t.Errorf("%q: %v in %s", p.Title, err, target.Expr)
			continue
		}
		if target.Datasource.UID != "${DS_PROMETHEUS}" {
			t.Errorf("%q asks %q", p.Title, target.Datasource.UID)
		}
		for _, problem := range e.check(s) {
			t.Errorf("%q: %s in %s", p.Title, problem, target.Expr)
		}
		for _, label := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
			if !e.keeps(s, label[1]) {
				t.Errorf("%q: the legend %s is of no label that %s leaves", p.Title, target.LegendFormat, target.Expr)
			}
		}
		if !slices.Contains(e.units(s), unit) {
			t.Errorf("%q: the unit %q is not one of %v, those of %s", p.Title, unit, e.units(s), target.Expr)
		}
	}
}

// A dashboard with a mistake does not pass.
func TestExpressionsAreChecked(t *testing.T) {
	text := `# HELP a_total A.
# TYPE a_total counter
a_total{operation="read"} 1
# HELP b_bytes B.
# TYPE b_bytes gauge
b_bytes 1
# HELP c_seconds C.
# TYPE c_seconds histogram
c_seconds_bucket{le="1"} 1
c_seconds_bucket{le="+Inf"} 1
c_seconds_sum 1
c_seconds_count 1
`
	s := parseMetrics(t, text)
	for expr, fine := range map[string]bool{
		`sum by (operation) (rate(a_total{instance=~"$node"}[$__rate_interval]))`: true,
		`a_total{operation="write"}`:       false,
		`a_total{operation=~"read|write"}`: false,
		`a_total{op="read"}`:               false,
		`sum by (op) (a_total)`:            false,
		`sum by (operation) (b_bytes)`:     false,
		`a_totals`:                         false,
		`rats(a_total[1m])`:                false,
		`histogram_quantile(0.5, sum by (le) (rate(c_seconds_bucket[1m])))`: true,
		`histogram_quantile(0.5, sum by (le) (rate(b_bytes_bucket[1m])))`:   false,
		`c_seconds`:                         false, // there is no series of this name
		`sum(a_total`:                       false,
		`rate(a_total)`:                     false, // a range is missing
		`b_bytes and on (instance) a_total`: true,
	} {
		e, err := parseExpr(expr)
		if got := err == nil && len(e.check(s)) == 0; got != fine {
			t.Errorf("%s: %v, want %v (%v, %v)", expr, got, fine, err, e)
		}
	}
	for expr, unit := range map[string]string{
		`rate(a_total[1m])`: "reqps", `b_bytes`: "bytes", `rate(b_bytes[1m])`: "Bps", `b_bytes / b_bytes`: "percentunit",
		`rate(c_seconds_sum[1m]) / rate(c_seconds_count[1m])`: "s", `histogram_quantile(0.5, rate(c_seconds_bucket[1m]))`: "s",
		`rate(c_seconds_count[1m])`: "reqps",
	} {
		e, err := parseExpr(expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range []string{"s", "bytes", "Bps", "percentunit", "reqps"} {
			if got := slices.Contains(e.units(s), u); got != (u == unit) {
				t.Errorf("%s in %s: %v", expr, u, got)
			}
		}
	}
}

// family is that of a series' name: of a histogram, series have names of their own.
func (s scraped) family(series string) *dto.MetricFamily {
	if f := s[series]; f != nil && f.GetType() != dto.MetricType_HISTOGRAM {
		return f
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if name, is := strings.CutSuffix(series, suffix); is && s[name] != nil {
			switch f := s[name]; f.GetType() {
			case dto.MetricType_HISTOGRAM:
				return f
			case dto.MetricType_SUMMARY:
				if suffix != "_bucket" {
					return f
				}
			}
		}
	}
	return nil
}
