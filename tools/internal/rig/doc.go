// Package rig runs a ring of causalmeshd processes as children of this one, breaks
// their links, and looks at them from outside: for trials, which want to know how the
// real program behaves.
//
// Links between nodes run through TCP proxies where Config.Cuttable asks for it: each
// node's entry in --peers is then its proxy, so that what comes in to a node can be
// cut. Ports are chosen from those that are free, and Start begins anew if another
// process takes one first.
//
// A Ring and its Nodes may be used from any goroutine, but for Close. Processes are
// signalled by their pid only and end when their parent does: a cluster that is to
// stay is package cluster's. The package restarts no node: one that has lost its state
// would not be let into the ring again.
package rig
