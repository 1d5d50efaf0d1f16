// Package admin asks nodes' admin endpoints how they are, and writes the answers as
// a table.
//
// It holds nothing and may be used from any goroutine. It knows only the fields of
// /status that it shows, so that it goes with daemons of other versions, and it
// takes no more of an answer than a bound.
package admin
