package stress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// suite is a test binary and the environment that it runs in.
type suite struct {
	pkg    string // import path
	folder string // of the package, where its tests run
	binary string
	env    []string // NAME=VALUE, beside the environment of this process
}

// String names the suite as reports do.
func (s *suite) String() string {
	return strings.Join(append([]string{strings.TrimPrefix(s.pkg, modulePrefix)}, s.env...), " ")
}

const modulePrefix = "causalmesh/"

// variant is an environment in which packages are tested once more.
type variant struct {
	env      []string
	packages []string // patterns of go list
}

// parseVariant reads "NAME=VALUE ... PATTERN ...".
func parseVariant(text string) (v variant, err error) {
	for _, word := range strings.Fields(text) {
		if strings.Contains(word, "=") {
			v.env = append(v.env, word)
		} else {
			v.packages = append(v.packages, word)
		}
	}
	if len(v.env) == 0 || len(v.packages) == 0 {
		return v, fmt.Errorf("%w: variant %q: use 'NAME=VALUE ./package', with one or more of each", ErrUsage, text)
	}
	return v, nil
}

// listed is what go list prints of a package.
type listed struct {
	ImportPath, Dir           string
	TestGoFiles, XTestGoFiles []string
}

// list returns the packages with tests that match the patterns.
func list(ctx context.Context, patterns []string) ([]listed, error) {
	command := exec.CommandContext(ctx, "go", append([]string{"list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles"}, patterns...)...)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", strings.Join(patterns, " "), err)
	}
	var all []listed
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 {
			all = append(all, p)
		}
	}
}

// compile makes the test binaries, one a package, and returns the suites that use them.
func compile(ctx context.Context, o *options, note func(string, ...any)) ([]*suite, error) {
	plain, err := list(ctx, o.packages)
	if err != nil {
		return nil, err
	}
	binaries := map[string]string{}
	var suites []*suite
	add := func(p *listed, env []string) error {
		s := &suite{pkg: p.ImportPath, folder: p.Dir, binary: binaries[p.ImportPath], env: env}
		if s.binary == "" {
			s.binary = filepath.Join(o.folder, strings.ReplaceAll(p.ImportPath, "/", "-")+".test")
			binaries[p.ImportPath] = s.binary
			note("compiling the tests of %s", p.ImportPath)
			args := []string{"test", "-c", "-tags", "invariants", "-o", s.binary}
			if o.race {
				args = append(args, "-race")
			}
			command := exec.CommandContext(ctx, "go", append(args, p.ImportPath)...)
			if output, err := command.CombinedOutput(); err != nil {
				return fmt.Errorf("go test -c %s: %w\n%s", p.ImportPath, err, output)
			}
		}
		suites = append(suites, s)
		return nil
	}
	for i := range plain {
		if err := add(&plain[i], nil); err != nil {
			return nil, err
		}
	}
	for _, v := range o.variants {
		packages, err := list(ctx, v.packages)
		if err != nil {
			return nil, err
		}
		for i := range packages {
			if err := add(&packages[i], v.env); err != nil {
				return nil, err
			}
		}
	}
	if len(suites) == 0 {
		return nil, fmt.Errorf("%w: no package of %s has tests", ErrUsage, strings.Join(o.packages, " "))
	}
	return suites, nil
}

// converter returns the path of test2json, which go builds if need be.
func converter(ctx context.Context) (string, error) {
	command := exec.CommandContext(ctx, "go", "tool", "-n", "test2json")
	command.Stderr = os.Stderr
	path, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go tool -n test2json: %w", err)
	}
	return strings.TrimSpace(string(path)), nil
}

// pattern is the value of -test.run that chooses these tests and no others.
func pattern(tests []string) string {
	return "^(" + strings.Join(slices.Sorted(slices.Values(tests)), "|") + ")$"
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
