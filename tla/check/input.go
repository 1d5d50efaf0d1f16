package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// inputBytes is how much of a hash names an input: enough that no two are alike by chance.
const inputBytes = 8

// Input names all that the outcome of a configuration depends on: its text, the modules that
// its module extends or instantiates, directly or not, and the version of TLC. TLC with one
// worker is deterministic, so a run on the same input ends in the same way. What reads traces of
// the core depends on the code, too, and has no such name.
func Input(dir string, c *Config) (string, error) {
	if c.Traces > 0 {
		return "", nil
	}
	sum := sha256.New()
	add := func(path string) (text []byte, err error) {
		if text, err = os.ReadFile(filepath.Join(dir, path)); err != nil {
			return nil, err
		}
		fmt.Fprintf(sum, "%s %d\n%s", path, len(text), text)
		return text, nil
	}
	if _, err := add(c.Path()); err != nil {
		return "", err
	}
	if _, err := add(filepath.Base(pomPath)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	seen := map[string]bool{c.Module: true}
	for queue := []string{c.Module}; len(queue) > 0; queue = queue[1:] {
		text, err := add(queue[0] + ".tla")
		if errors.Is(err, fs.ErrNotExist) {
			continue // it comes with TLC
		}
		if err != nil {
			return "", err
		}
		for _, name := range imported(string(text)) {
			if !seen[name] {
				seen[name] = true
				queue = append(queue, name)
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:inputBytes]), nil
}

var importing = regexp.MustCompile(`\bEXTENDS\s+(\w+(?:\s*,\s*\w+)*)|\bINSTANCE\s+(\w+)`)

// imported returns the modules that a module extends or instantiates. A name in a comment may be
// among them, which makes the input larger than need be, and hides nothing.
func imported(text string) (names []string) {
	for _, m := range importing.FindAllStringSubmatch(text, -1) {
		for _, name := range strings.Split(m[1]+m[2], ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}
