package clientlib_test

import (
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What users' functions bring in with this package: the protocol, shared memory, and the
// little that these need. No event loop, no daemon.
func TestLinks(t *testing.T) {
	allowed := []string{
		"causalmesh/causal", "causalmesh/causal/internal/defect", "causalmesh/causal/wire", "causalmesh/ring/shm", "causalmesh/ring/table",
		"causalmesh/clientlib",
		"github.com/dchest/siphash", "github.com/philhofer/fwd", "github.com/tinylib/msgp/msgp", "golang.org/x/sys/unix",
	}
	text, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(text)) {
		if !slices.Contains(allowed, path) {
			t.Errorf("it links %s", path)
		}
	}
}

// The package itself imports ours, and the standard library.
func TestImports(t *testing.T) {
	allowed := []string{"causalmesh/causal", "causalmesh/causal/wire", "causalmesh/ring/shm", "causalmesh/ring/table"}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			first, _, _ := strings.Cut(path, "/")
			standard := !strings.Contains(first, ".") && first != "causalmesh"
			if !standard && !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}
