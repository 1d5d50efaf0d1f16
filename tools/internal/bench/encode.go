package bench

import (
	"encoding/json"
	"strconv"
	"strings"
)

// encode writes the data as JSON that is indented down to the samples, which have a
// line each.
func (d *Data) encode() ([]byte, error) {
	// Samples are put in for their places once everything else is indented: strings
	// that JSON has to escape nowhere, and that nothing else holds.
	place := func(result, sample int) string {
		return "sample:" + strconv.Itoa(result) + ":" + strconv.Itoa(sample) + ":"
	}
	type placed struct {
		Result
		Samples []string `json:"samples"`
	}
	shell := struct {
		*Data
		Results []placed `json:"results"`
	}{Data: d}
	var pairs []string
	for i, r := range d.Results {
		p := placed{Result: r, Samples: []string{}}
		for j, s := range r.Samples {
			line, err := json.Marshal(s)
			if err != nil {
				return nil, err
			}
			p.Samples = append(p.Samples, place(i, j))
			pairs = append(pairs, strconv.Quote(place(i, j)), string(line))
		}
		shell.Results = append(shell.Results, p)
	}
	text, err := json.MarshalIndent(shell, "", " ")
	if err != nil {
		return nil, err
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(text)) + "\n"), nil
}
