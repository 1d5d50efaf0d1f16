package daemon

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/metrics.md anew")

const metricsPage = "../docs/metrics.md"

// The table of docs/metrics.md is that of a real scrape.
func TestMetricsAreDocumented(t *testing.T) {
	s, _ := fullScrape(t)
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	const head = "| metric | type | labels | what it means |\n|---|---|---|---|\n"
	before, after, found := strings.Cut(string(page), head)
	if !found {
		t.Fatalf("%s has no table", metricsPage)
	}
	old, rest, _ := strings.Cut(after, "\n\n")
	table := metricsTable(s)
	if *update {
		if err := os.WriteFile(metricsPage, []byte(before+head+table+"\n"+rest), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if strings.TrimSpace(old) != strings.TrimSpace(table) {
		t.Errorf("%s does not say what a node tells; go test ./daemon -run MetricsAreDocumented -update", metricsPage)
	}
}

func metricsTable(s scraped) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s)) {
		f := s[name]
		if !strings.HasPrefix(name, namespace) {
			continue
		}
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	return b.String()
}

// The rules for alerts in docs/operating.md are about what a node tells.
func TestAlertsFitTheMetrics(t *testing.T) {
	page, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := fullScrape(t)
	rules := regexp.MustCompile(`(?m)^ +expr: (.*)$`).FindAllStringSubmatch(string(page), -1)
	if len(rules) < 5 {
		t.Errorf("%d rules", len(rules))
	}
	for _, r := range rules {
		e, err := parseExpr(r[1])
		if err != nil {
			t.Errorf("%v in %s", err, r[1])
		}
		for _, problem := range e.check(s) {
			t.Errorf("%s in %s", problem, r[1])
		}
	}
}
