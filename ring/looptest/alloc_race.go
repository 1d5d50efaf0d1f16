//go:build race

package looptest

func (x suite) unraced() []named { return nil }
