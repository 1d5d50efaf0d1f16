// Package chart draws three kinds of charts, each as an SVG and as a PNG file: dots,
// which show every run of a few systems beside each other, lines, which show how
// something grows, and stacks, which show what something is made of.
//
// Dots and lines show all runs, not only their middle, so that a reader sees what noise
// there was. Colours can be told apart by people who see few, and lines and rows carry their
// names: nothing has to be looked up in a legend. Only the parts of stacks have one, as
// most of them are too small for a name.
//
// It holds nothing and may be used from any goroutine. It computes nothing: what is to
// be shown as the middle is the caller's. The same chart is the same bytes.
package chart
