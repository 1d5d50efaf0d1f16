package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// inputBytes is how much of a hash names an input: enough that no two are alike by chance.
const inputBytes = 8

// Input names all that the outcome of a configuration depends on: its text, the modules, TLC's jar
// and its options. TLC with one worker is deterministic, so a run on the same input ends in the same way. What
// reads traces of the core depends on the code, too, and has no such name. All modules count, those
// that the configuration does not use, too: to run once too often does no harm.
func Input(dir, jar string, c *Config) (string, error) {
	if c.Traces > 0 {
		return "", nil
	}
	modules, err := filepath.Glob(filepath.Join(dir, "*.tla"))
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, tlcOptions)
	for _, path := range append(modules, filepath.Join(dir, c.Path()), jar) {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n%s", filepath.Base(path), len(text), text)
	}
	return hex.EncodeToString(sum.Sum(nil)[:inputBytes]), nil
}
