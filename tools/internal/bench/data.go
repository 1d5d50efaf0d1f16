package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// format changes when older data can no longer be read.
const format = 1

// Data is what was measured: all that a document is made from.
type Data struct {
	Format int  `json:"format"`
	Quick  bool `json:"quick"` // too short for figures to rely on
	// Part says that experiments were left out on request.
	Part    bool      `json:"part,omitempty"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"took_s"`
	Machine Machine   `json:"machine"`
	Code    Code      `json:"code"`
	Plan    Plan      `json:"plan"`
	Servers []Program `json:"servers"`
	Results []Result  `json:"results"`
}

// Program says how a server was run.
type Program struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Command string `json:"command"` // with the names of files of this run left out
	Config  string `json:"config"`  // where the rest of its settings is from
}

// Result is what came of one experiment.
type Result struct {
	Experiment string  `json:"experiment"`
	Seconds    float64 `json:"took_s"`
	// Idle is the share of one processor that each system used before the experiment
	// began, under no load.
	Idle map[string]float64 `json:"idle_cpu_share"`
	// Others is the share of all processors that was used by what does not belong to
	// the experiment, while it ran.
	Others float64 `json:"others_cpu_share"`
	// IO is what moves bytes in each causalmesh system.
	IO map[string]string `json:"io,omitempty"`
	// Missing says why a system could not be measured.
	Missing map[string]string `json:"missing,omitempty"`
	// Loadgen has the flags of each load that loadgen made.
	Loadgen map[string]string `json:"loadgen,omitempty"`
	Samples []Sample          `json:"samples"`
}

// Sample is what one run measured.
type Sample struct {
	Round  int                `json:"round"`
	Load   string             `json:"load"`
	System string             `json:"system"`
	X      float64            `json:"x,omitempty"` // of a load that is a series
	Values map[Metric]float64 `json:"values"`
}

// dataName is the file with the data, in a page's folder.
const dataName = "data.json"

// ReadData reads what WriteData wrote.
func (p *Page) ReadData(docs string) (*Data, error) {
	path := filepath.Join(p.folder(docs), dataName)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w: run make %s", ErrData, err, p.Make)
	}
	d := &Data{}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrData, path, err)
	}
	if d.Format != format {
		return nil, fmt.Errorf("%w: %s has format %d, want %d: run make %s", ErrData, path, d.Format, format, p.Make)
	}
	return d, nil
}

// WriteData writes the data below the folder of documents, a line for each sample: a
// new run is then a difference that can be read.
func (p *Page) WriteData(docs string, d *Data) error {
	if err := os.MkdirAll(p.folder(docs), 0o755); err != nil {
		return err
	}
	text, err := d.encode()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.folder(docs), dataName), text, 0o644)
}

// add has what another run has measured, of the same code and with the same plan, take its
// place among the results.
func (p *Page) add(d, more *Data) {
	for _, r := range more.Results {
		if old := d.result(r.Experiment); old != nil {
			*old = r
		} else {
			d.Results = append(d.Results, r)
		}
	}
	place := ids(p.Experiments(d.Plan))
	slices.SortStableFunc(d.Results, func(a, b Result) int {
		return slices.Index(place, a.Experiment) - slices.Index(place, b.Experiment)
	})
	for _, s := range more.Servers {
		if !slices.Contains(d.Servers, s) {
			d.Servers = append(d.Servers, s)
		}
	}
	d.Seconds += more.Seconds
	d.Part = len(d.Results) < len(place)
}

func (d *Data) result(experiment string) *Result {
	for i := range d.Results {
		if d.Results[i].Experiment == experiment {
			return &d.Results[i]
		}
	}
	return nil
}
