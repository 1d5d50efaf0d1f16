package bpf

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Links that whoever owns a node's folder has put there lead nowhere.
func TestLinksOutOfAFolderAreNotFollowed(t *testing.T) {
	if err := CheckHost(); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	root, _ := rootOf(t)
	if err := mount(root); err != nil {
		t.Fatal(err)
	}
	victim := filepath.Join(root, "victim", requestsMapAbout)
	for _, c := range []struct {
		name, link, to string
	}{
		{"a folder in it", "maps", filepath.Join(root, "victim")},
		{"itself", "", filepath.Join(root, "whole")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() { _ = os.RemoveAll(root) })
			whole := filepath.Join(root, "whole", "maps", requestsMapAbout)
			for _, d := range []string{victim, whole} {
				if err := os.MkdirAll(d, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if c.link != "" {
				if err := os.Mkdir(filepath.Join(root, "0"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(c.to, filepath.Join(root, "0", c.link)); err != nil {
				t.Fatal(err)
			}
			err := Off(root, "0")
			for _, d := range []string{victim, whole} {
				if _, err := os.Stat(d); err != nil {
					t.Error(err)
				}
			}
			if c.link == "" && !errors.Is(err, ErrPins) {
				t.Errorf("off: %v", err)
			}
		})
	}
}
