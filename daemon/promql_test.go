package daemon

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// expr is what an expression in PromQL refers to. This is no parser of the language: it
// knows the few words that docs/grafana.json uses, and takes every other for a mistake.
type expr struct {
	text      string
	selectors []selector
	kept      []string // by labels, of aggregations
	on        []string
	sums      bool // something is aggregated
}

type selector struct {
	name     string
	matchers [][2]string // label and pattern
	ranged   bool
}

var (
	exprTokens = regexp.MustCompile(`"[^"]*"|\$?[A-Za-z_:][\w:]*|\d+(?:\.\d+)?[smhd]?|==|=~|!=|!~|[-+*/<>=(){}\[\],]|\S`)
	exprWord   = regexp.MustCompile(`^[A-Za-z_]`)
	ranging    = []string{"rate", "increase"}
	calls      = append([]string{"histogram_quantile", "time", "sum", "min", "max"}, ranging...)
	operators  = []string{"or", "and"}
)

func parseExpr(text string) (e expr, err error) {
	e.text = text
	tokens := exprTokens.FindAllString(text, -1)
	called := []string{""} // the functions around, "" for plain parentheses
	next := func(i int) string {
		if i+1 < len(tokens) {
			return tokens[i+1]
		}
		return ""
	}
	for i := 0; i < len(tokens); i++ {
		switch token := tokens[i]; {
		case token == "(":
			f := ""
			if i > 0 && slices.Contains(calls, tokens[i-1]) {
				f = tokens[i-1]
			}
			called = append(called, f)
		case token == ")":
			if len(called) == 1 {
				return e, fmt.Errorf("a ) too many")
			}
			called = called[:len(called)-1]
		case token == "by" || token == "on":
			end := slices.Index(tokens[i:], ")") + i
			if next(i) != "(" || end < i {
				return e, fmt.Errorf("no list behind %s", token)
			}
			for _, label := range tokens[i+2 : end] {
				if label != "," && token == "by" {
					e.kept = append(e.kept, label)
				} else if label != "," {
					e.on = append(e.on, label)
				}
			}
			i = end
		case slices.Contains(operators, token):
		case slices.Contains(calls, token):
			if next(i) != "(" && next(i) != "by" {
				return e, fmt.Errorf("%s is not called", token)
			}
			e.sums = e.sums || slices.Contains([]string{"sum", "min", "max"}, token)
		case exprWord.MatchString(token):
			s := selector{name: token}
			if next(i) == "{" {
				end := slices.Index(tokens[i:], "}") + i
				if end < i {
					return e, fmt.Errorf("{ is not closed")
				}
				for at := i + 2; at < end; at += 4 { // label, operator, pattern, comma
					if at+2 >= end || !strings.HasPrefix(tokens[at+2], `"`) || !strings.Contains(tokens[at+1], "=") {
						return e, fmt.Errorf("matchers %v", tokens[i+2:end])
					}
					s.matchers = append(s.matchers, [2]string{tokens[at], strings.Trim(tokens[at+2], `"`)})
				}
				i = end
			}
			if next(i) == "[" {
				if i+3 >= len(tokens) || tokens[i+3] != "]" {
					return e, fmt.Errorf("[ is not closed")
				}
				s.ranged = true
				i += 3
			}
			if s.ranged != slices.Contains(ranging, called[len(called)-1]) {
				return e, fmt.Errorf("%s has a range or needs one", s.name)
			}
			e.selectors = append(e.selectors, s)
		case strings.Contains("+-*/<>,", token), token == "==", token[0] >= '0' && token[0] <= '9':
		default:
			return e, fmt.Errorf("unexpected %s", token)
		}
	}
	if len(called) > 1 {
		return e, fmt.Errorf("( is not closed")
	}
	if len(e.selectors) == 0 {
		return e, fmt.Errorf("no metric")
	}
	return e, nil
}

// metricNames are the names in the definition of a variable.
func metricNames(definition string) []string {
	return regexp.MustCompile(namespace+`\w+`).FindAllString(definition, -1)
}

// targetLabels are those that Prometheus adds.
var targetLabels = []string{"instance", "job"}

// values are all that a label has in the series of a selector; false if there is no such label.
func (q *selector) values(s scraped, label string) (values []string, is bool) {
	if slices.Contains(targetLabels, label) {
		return nil, true
	}
	if label == "le" && strings.HasSuffix(q.name, "_bucket") {
		return nil, true
	}
	for _, m := range s.family(q.name).GetMetric() {
		for _, l := range m.Label {
			if l.GetName() == label {
				values = append(values, l.GetValue())
			}
		}
	}
	return values, len(values) > 0
}

// check says what the expression asks for in vain.
func (e *expr) check(s scraped) (problems []string) {
	for _, q := range e.selectors {
		if q.name == "up" {
			continue // Prometheus' own
		}
		if s.family(q.name) == nil {
			problems = append(problems, "no node tells "+q.name)
			continue
		}
		if s.family(q.name).GetHelp() == "" {
			problems = append(problems, q.name+" has no HELP")
		}
		for _, m := range q.matchers {
			values, is := q.values(s, m[0])
			if !is {
				problems = append(problems, q.name+" has no label "+m[0])
			}
			if strings.HasPrefix(m[1], "$") || values == nil {
				continue
			}
			for want := range strings.SplitSeq(m[1], "|") {
				if !slices.Contains(values, want) {
					problems = append(problems, fmt.Sprintf("%s never has %s=%q", q.name, m[0], want))
				}
			}
		}
	}
	for _, label := range append(slices.Clone(e.kept), e.on...) {
		if !slices.ContainsFunc(e.selectors, func(q selector) bool { _, is := q.values(s, label); return is }) {
			problems = append(problems, "no label "+label)
		}
	}
	return problems
}

// keeps reports whether the result has a label.
func (e *expr) keeps(s scraped, label string) bool {
	if e.sums {
		return slices.Contains(e.kept, label)
	}
	_, is := e.selectors[0].values(s, label)
	return is
}

// units are those of Grafana's that the result may be shown in: what names say of them.
func (e *expr) units(s scraped) []string {
	var of []string
	for _, q := range e.selectors {
		of = append(of, e.unit(s, q.name))
	}
	rate := strings.Contains(e.text, "rate(")
	switch first := of[0]; {
	case first == "border":
		return []string{"s"}
	case strings.Contains(e.text, " / "):
		return map[[2]string][]string{
			{"s", "count"}: {"s"}, {"count", "count"}: {"percentunit", "short"}, {"bytes", "bytes"}: {"percentunit"},
		}[[2]string(of[:2])]
	case first == "count" && rate:
		return []string{"reqps", "ops", "cps", "short"}
	case first == "count":
		return []string{"short", "none"}
	case first == "bytes" && rate:
		return []string{"Bps"}
	case rate && strings.HasPrefix(e.selectors[0].name, "process_cpu_"):
		return []string{"percentunit"}
	default:
		return []string{first}
	}
}

// unit is that of a series by its name, count if it has none. Counts of a histogram's
// buckets become what their borders are in.
func (e *expr) unit(s scraped, series string) string {
	histogram := s.family(series).GetType() == dto.MetricType_HISTOGRAM
	switch {
	case histogram && strings.HasSuffix(series, "_count"):
		return "count"
	case histogram && strings.HasSuffix(series, "_bucket") && !strings.Contains(e.text, "histogram_quantile"):
		return "border"
	case strings.Contains(series, "_seconds"):
		return "s"
	case strings.Contains(series, "_bytes"):
		return "bytes"
	}
	return "count"
}
