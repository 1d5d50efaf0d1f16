package causal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowed are the imports of the core: each is a function of its arguments, but for
// maphash, which is there for what Go's maps do too. Package time is there for Duration; what of it reads a clock is looked for by name.
var allowed = []string{
	"bytes", "cmp", "crypto/hmac", "crypto/sha256", "encoding/binary", "errors", "fmt", "hash", "hash/maphash", "math", "reflect", "slices",
	"strconv", "time", "causalmesh/causal/internal/defect",
}

// impure are the functions of package time that read the clock or wait.
var impure = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// sources parses the non-test files of a folder, nil if there is none.
func sources(t *testing.T, folder string) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = f
	}
	return files
}

func importsOf(t *testing.T, f *ast.File) []string {
	t.Helper()
	var list []string
	for _, i := range f.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, path)
	}
	return list
}

func TestCoreImportsAreAllowed(t *testing.T) {
	files := sources(t, ".")
	if len(files) < 20 {
		t.Fatalf("only %d files found: the test looks in the wrong place", len(files))
	}
	for name, f := range files {
		for _, path := range importsOf(t, f) {
			if !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s: the core does no I/O, reads no clock and rolls no dice", name, path)
			}
		}
	}
}

// TestCoreIsPure looks for what an import does not show.
func TestCoreIsPure(t *testing.T) {
	for name, f := range sources(t, ".") {
		for _, what := range impurities(f) {
			t.Errorf("%s: %s", name, what)
		}
	}
}

// impurities names the goroutines, channels, clocks and global variables of a file.
func impurities(f *ast.File) (found []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "starts a goroutine")
		case *ast.ChanType:
			found = append(found, "uses a channel")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(impure, n.Sel.Name) {
				found = append(found, "reads the clock: time."+n.Sel.Name)
			}
		}
		return true
	})
	for _, d := range f.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			for _, spec := range g.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if !constantVariable(name.Name) {
						found = append(found, "has the package variable "+name.Name)
					}
				}
			}
		}
	}
	return found
}

// constantVariable reports whether a package variable is one that Go has no
// constants for: errors and tables. TestNobodyAssignsToTables holds them to it.
func constantVariable(name string) bool {
	return strings.HasPrefix(name, "Err") || slices.Contains([]string{"DefaultLimits", "ForeignStamp", "codeErrors", "_"}, name)
}

func TestNobodyAssignsToTables(t *testing.T) {
	for name, f := range sources(t, ".") {
		ast.Inspect(f, func(n ast.Node) bool {
			a, ok := n.(*ast.AssignStmt)
			if !ok || a.Tok == token.DEFINE {
				return true
			}
			for _, l := range a.Lhs {
				for {
					switch x := l.(type) {
					case *ast.IndexExpr:
						l = x.X
						continue
					case *ast.SelectorExpr:
						l = x.X
						continue
					}
					break
				}
				if id, ok := l.(*ast.Ident); ok && id.Name != "_" && constantVariable(id.Name) {
					t.Errorf("%s assigns to %s", name, id.Name)
				}
			}
			return true
		})
	}
}

// TestImpuritiesAreFound shows that the test above can fail.
func TestImpuritiesAreFound(t *testing.T) {
	const source = "package p\nimport \"time\"\nvar count int\nvar ErrX error\n" +
		"func f() { go f(); _ = time.Now(); var c chan int; _ = c }"
	f, err := parser.ParseFile(token.NewFileSet(), "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	if found := impurities(f); len(found) != 4 {
		t.Errorf("found %q, want four", found)
	}
}

func TestImportsPointTowardTheCore(t *testing.T) {
	const module = "causalmesh/"
	for _, rule := range []struct {
		folder  string
		only    []string // if set: ours and others' that are allowed beside the standard library
		without []string
	}{
		{folder: "wire", only: []string{"causalmesh/causal", "github.com/tinylib/msgp/msgp"}},
		{folder: "../clientlib", only: []string{"causalmesh/causal", "causalmesh/causal/wire", "causalmesh/ring/shm", "causalmesh/ring/table"}},
		{folder: "../ring", without: []string{module + "daemon", module + "clientlib"}},
	} {
		for name, f := range sources(t, rule.folder) { // nothing where there is no such folder
			for _, path := range importsOf(t, f) {
				ours := strings.HasPrefix(path, module) || strings.Contains(strings.Split(path, "/")[0], ".")
				if ours && rule.only != nil && !slices.Contains(rule.only, path) {
					t.Errorf("%s imports %s, allowed are %q", name, path, rule.only)
				}
				for _, w := range rule.without {
					if path == w || strings.HasPrefix(path, w+"/") {
						t.Errorf("%s imports %s", name, path)
					}
				}
			}
		}
	}
}

// TestDocListsModelActions holds the table of the package documentation to the
// comments that name the model's actions.
func TestDocListsModelActions(t *testing.T) {
	action := regexp.MustCompile(`Model: ([A-Z]\w+(?:, [A-Z]\w+)*)\.`)
	named := map[string]bool{}
	for name := range sources(t, ".") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range action.FindAllStringSubmatch(strings.ReplaceAll(string(text), "\n// ", " "), -1) {
			for _, a := range strings.Split(m[1], ", ") {
				named[a] = true
			}
		}
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^//\t(\w+) +(?:Server|Session|DirectRead)\.\w+ `).FindAllStringSubmatch(string(doc), -1) {
		listed[m[1]] = true
	}
	model := ""
	for _, module := range []string{"Sessions", "Ring", "Store", "Reader"} {
		text, err := os.ReadFile("../tla/" + module + ".tla")
		if err != nil {
			t.Fatal(err)
		}
		model += string(text)
	}
	for a := range maps.Keys(named) {
		if !regexp.MustCompile(`(?m)^` + a + `\b.* ==`).MatchString(model) {
			t.Errorf("the model has no action %s", a)
		}
		if !listed[a] {
			t.Errorf("doc.go does not list the model's action %s", a)
		}
	}
	for a := range maps.Keys(listed) {
		if !named[a] {
			t.Errorf("doc.go lists the model's action %s, which no comment names", a)
		}
	}
}
