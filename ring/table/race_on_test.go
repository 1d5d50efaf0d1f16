//go:build race

package table

// underRace: the detector does not see mapped memory, and is slow.
const underRace = true
