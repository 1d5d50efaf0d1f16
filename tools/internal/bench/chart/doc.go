// Package chart draws two kinds of charts, each as an SVG and as a PNG file: dots,
// which show every run of a few systems beside each other, and lines, which show how
// something grows.
//
// Charts show all runs, not only their middle, so that a reader sees what noise there
// was. Colours can be told apart by people who see few, and lines and rows carry their
// names: nothing has to be looked up in a legend.
//
// It holds nothing and may be used from any goroutine. It computes nothing: what is to
// be shown as the middle is the caller's. The same chart is the same bytes.
package chart
