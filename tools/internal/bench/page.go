package bench

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Page is a document, and what is measured for it.
type Page struct {
	Name        string // of the document, and of the folder beside it with its data and charts
	Title       string
	Make        string // the target of make that measures it
	Full, Quick Plan
	Experiments func(Plan) []Experiment
	// Measured are packages that figures depend on, but for loadgen. Programs among them are
	// built.
	Measured []string
	// Unused are folders of packages that are linked in, but of which nothing runs.
	Unused []string
	// Needs says what is missing here to measure it.
	Needs func() error
	// Read says how to read it, and Run how servers were run: paragraphs.
	Read, Run func(*Data) []string
}

// The documents.
var (
	performance = &Page{
		Name: "performance", Title: "Performance", Make: "bench", Full: Full(), Quick: Quick(),
		Experiments: Experiments, Measured: []string{"./daemon/" + daemonName},
		Unused: []string{"bpf"}, // Nodes run with --bpf off.
		Needs:  needServers, Read: readPerformance, Run: runPerformance,
	}
	pages = []*Page{performance, latencies}
)

// pageOf finds a page by its name.
func pageOf(name string) (*Page, error) {
	var names []string
	for _, p := range pages {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return nil, fmt.Errorf("%w: -page %s: there is no such page; use one of %s", ErrUsage, name, strings.Join(names, ", "))
}

func (p *Page) file(docs string) string   { return filepath.Join(docs, p.Name+".md") }
func (p *Page) folder(docs string) string { return filepath.Join(docs, p.Name) }

// measured are all packages whose code figures depend on.
func (p *Page) measured() []string { return append([]string{"./tools/" + loaderName}, p.Measured...) }

// command is what runs bench for the page.
func (p *Page) command() string {
	if p == performance {
		return "go run ./tools/bench"
	}
	return "go run ./tools/bench -page " + p.Name
}

// needServers: there is no comparison without them.
func needServers() error {
	for _, name := range []string{"redis-server", "memcached"} {
		if _, err := find(name); err != nil {
			return err
		}
	}
	return nil
}
