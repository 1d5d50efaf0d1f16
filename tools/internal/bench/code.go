package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"hash"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Code names the code that was measured.
type Code struct {
	Commit   string `json:"commit"`
	Modified bool   `json:"modified,omitempty"` // what was measured was not all in the commit
	// Packages has a fingerprint of each package of this module that is linked into
	// what was measured, by its folder.
	Packages map[string]string `json:"packages"`
	// Modules has the version of each other module that is linked in.
	Modules map[string]string `json:"modules"`
}

// fingerprintBytes is how much of a hash is kept: enough that no change goes unseen by
// chance.
const fingerprintBytes = 8

// programs are built for each page.
var programs = []string{"./daemon/" + daemonName, "./tools/" + loaderName}

// build builds the programs into a folder, and says of which code they, and what else is
// measured, are.
func build(ctx context.Context, root, bin string, measured []string) (Code, error) {
	before, err := readCode(ctx, root, measured)
	if err != nil {
		return before, err
	}
	command := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-o", bin + string(filepath.Separator)}, programs...)...)
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0") // as make build does
	if text, err := command.CombinedOutput(); err != nil {
		return before, fmt.Errorf("build what is measured: %w: %s", err, bytes.TrimSpace(text))
	}
	after, err := readCode(ctx, root, measured)
	if changed := before.changed(&after); err == nil && len(changed) > 0 {
		err = fmt.Errorf("%w: %s changed while it was built; run it again", ErrStale, strings.Join(changed, ", "))
	}
	return after, err
}

// listed is a package as go list describes it, as far as it is needed.
type listed struct {
	Dir        string
	Standard   bool
	GoFiles    []string
	CgoFiles   []string
	SFiles     []string
	EmbedFiles []string
	Module     *listedModule
}

type listedModule struct {
	Path, Version, Dir string
	Main               bool
	Replace            *listedModule
}

// readCode takes the fingerprints of the code in the folder root as it is now,
// committed or not.
func readCode(ctx context.Context, root string, measured []string) (Code, error) {
	c := Code{Packages: map[string]string{}, Modules: map[string]string{}}
	command := exec.CommandContext(ctx, "go", append([]string{"list", "-deps",
		"-json=Dir,Standard,GoFiles,CgoFiles,SFiles,EmbedFiles,Module"}, measured...)...)
	command.Dir = root
	var bad bytes.Buffer
	command.Stderr = &bad
	text, err := command.Output()
	if err != nil {
		return c, fmt.Errorf("list the code that is measured: %w: %s", err, strings.TrimSpace(bad.String()))
	}
	for packages := json.NewDecoder(bytes.NewReader(text)); ; {
		var p listed
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return c, err
		}
		switch {
		case p.Standard || p.Module == nil:
		case p.Module.Main:
			folder, err := filepath.Rel(p.Module.Dir, p.Dir)
			if err != nil {
				return c, err
			}
			if c.Packages[filepath.ToSlash(folder)], err = p.fingerprint(); err != nil {
				return c, err
			}
		default:
			c.Modules[p.Module.Path] = p.Module.Version
			if with := p.Module.Replace; with != nil {
				c.Modules[p.Module.Path] = strings.TrimSpace(with.Path + " " + with.Version)
			}
		}
	}
	c.Commit, c.Modified = commit(ctx, root, slices.Sorted(maps.Keys(c.Packages)))
	return c, nil
}

// fingerprint hashes the names and contents of the package's files.
func (p *listed) fingerprint() (string, error) {
	sum := sha256.New()
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.SFiles, p.EmbedFiles) {
		text, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "file %s\n", name)
		if strings.HasSuffix(name, ".go") {
			hashTokens(sum, text)
		} else {
			sum.Write(text)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:fingerprintBytes]), nil
}

// hashTokens hashes Go code less its comments and its layout, which make nothing
// faster or slower. Comments that the compiler obeys count.
func hashTokens(sum hash.Hash, text []byte) {
	var s scanner.Scanner
	files := token.NewFileSet()
	s.Init(files.AddFile("", files.Base(), len(text)), text, nil, scanner.ScanComments)
	for {
		_, tok, literal := s.Scan()
		switch {
		case tok == token.EOF:
			return
		case tok == token.SEMICOLON:
			literal = "" // a new line is one, too
		case tok == token.COMMENT && !strings.HasPrefix(literal, "//go:"):
			continue
		}
		fmt.Fprintf(sum, "%s %q\n", tok, literal)
	}
}

// commit is what is checked out, "unknown" without git, and whether any of the folders
// differs from it.
func commit(ctx context.Context, root string, folders []string) (id string, modified bool) {
	git := func(args ...string) (string, error) {
		command := exec.CommandContext(ctx, "git", args...)
		command.Dir = root
		text, err := command.Output()
		return strings.TrimSpace(string(text)), err
	}
	id, err := git("rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "unknown", false
	}
	changes, err := git(append([]string{"status", "--porcelain", "--", ":(exclude)*_test.go", ":(exclude)*.md"}, folders...)...)
	return id, err != nil || changes != ""
}

// changed names what differs between what was measured and what is there now, but for some.
func (c *Code) changed(now *Code, but ...string) []string {
	var all []string
	for _, pair := range [][2]map[string]string{{c.Packages, now.Packages}, {c.Modules, now.Modules}} {
		before, after := pair[0], pair[1]
		for name := range maps.Keys(before) {
			if after[name] != before[name] {
				all = append(all, name)
			}
		}
		for name := range maps.Keys(after) {
			if _, known := before[name]; !known {
				all = append(all, name)
			}
		}
	}
	all = slices.DeleteFunc(all, func(name string) bool { return slices.Contains(but, name) })
	slices.Sort(all)
	return all
}
