package bench

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const someCode = `// Package some does something.
package some

//go:noinline
func twice(n int) int { return 2 * n } // n and n
`

// fingerprintOf is that of a package of one file.
func fingerprintOf(t *testing.T, name, text string) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := (&listed{Dir: dir, GoFiles: []string{name}}).fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFingerprint: what makes nothing faster or slower leaves figures as they are.
func TestFingerprint(t *testing.T) {
	before := fingerprintOf(t, "some.go", someCode)
	change := func(from, to string) string {
		text := strings.Replace(someCode, from, to, 1)
		if text == someCode {
			t.Fatalf("%q is not in the code", from)
		}
		return fingerprintOf(t, "some.go", text)
	}
	for name, after := range map[string]string{
		"nothing":         fingerprintOf(t, "some.go", someCode),
		"a comment":       change("something", "something else"),
		"a comment less":  change("// n and n", ""),
		"lines and tabs":  change("{ return 2 * n }", "{\n\treturn 2 * n\n}"),
		"a semicolon":     change("2 * n }", "2 * n; }"),
		"space in a line": change("2 * n", "2*n"),
	} {
		// The semicolon before a brace may be left away, and is then not there.
		if name != "lines and tabs" && name != "a semicolon" && after != before {
			t.Errorf("%s changes the fingerprint", name)
		}
	}
	if change("{ return 2 * n }", "{\n\treturn 2 * n\n}") != change("2 * n }", "2 * n; }") {
		t.Error("a new line and a semicolon differ")
	}
	for name, after := range map[string]string{
		"a number":                change("2 *", "3 *"),
		"a name":                  change("twice", "double"),
		"what the compiler obeys": change("//go:noinline", ""),
		"the file's name":         fingerprintOf(t, "other.go", someCode),
		"what is no Go":           fingerprintOf(t, "some.lua", someCode),
	} {
		if after == before {
			t.Errorf("%s does not change the fingerprint", name)
		}
	}
}

// TestChanged names what differs, in both directions.
func TestChanged(t *testing.T) {
	before := Code{Packages: map[string]string{"causal": "1", "daemon": "1", "gone": "1"}, Modules: map[string]string{"m": "v1"}}
	same := Code{Packages: maps.Clone(before.Packages), Modules: maps.Clone(before.Modules), Commit: "another"}
	if changed := before.changed(&same); len(changed) != 0 {
		t.Errorf("%v, want nothing", changed)
	}
	after := Code{Packages: map[string]string{"causal": "2", "daemon": "1", "new": "1"}, Modules: map[string]string{"m": "v2"}}
	if changed, want := before.changed(&after), []string{"causal", "gone", "m", "new"}; !slices.Equal(changed, want) {
		t.Errorf("%v, want %v", changed, want)
	}
	if changed, want := before.changed(&after, "causal", "daemon"), []string{"gone", "m", "new"}; !slices.Equal(changed, want) {
		t.Errorf("but for what is not used: %v, want %v", changed, want)
	}
}

// TestReadCode: what is linked into the programs counts, and nothing else.
func TestReadCode(t *testing.T) {
	c, err := readCode(t.Context(), filepath.Join("..", "..", ".."), performance.measured())
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"causal", "causal/wire", "ring", "ring/shm", "ring/table", "daemon", "daemon/causalmeshd", "daemon/store", "clientlib", "tools/internal/load"} {
		if c.Packages[folder] == "" {
			t.Errorf("%s does not count", folder)
		}
	}
	for _, folder := range []string{"causal/sim", "causal/check", "tools/internal/bench", "tools/internal/trial", "tools/meshctl"} {
		if c.Packages[folder] != "" {
			t.Errorf("%s counts, and is in none of the programs", folder)
		}
	}
	if c.Modules["github.com/redis/go-redis/v9"] == "" || c.Modules["gonum.org/v1/plot"] != "" {
		t.Errorf("modules %v", c.Modules)
	}
}
