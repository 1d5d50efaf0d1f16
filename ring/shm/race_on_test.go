//go:build race

package shm

// underRace: the detector slows tests down tenfold, so they do less.
const underRace = true
