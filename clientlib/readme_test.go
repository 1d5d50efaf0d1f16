//lint:file-ignore SA4006 what the README shows leaves error handling to the reader

package clientlib_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"causalmesh/clientlib"
)

// readme compiles what the README shows: the lines between the marks.
func readme(ctx context.Context, elsewhere *clientlib.Client) error {
	// README begins
	c, err := clientlib.Dial(ctx, "unix:/run/causalmesh.sock") // or shm: or direct:, for shared memory
	s := c.Session()                                           // one workflow
	err = s.Write(ctx, "cart:7", []byte("book"))
	next := s.Context() // hand these bytes to the next function

	s, err = elsewhere.Resume(next)                       // there, at another node
	value, found, err := s.Read(ctx, "cart:7")            // "book"
	items, err := s.ReadMany(ctx, "cart:7", "stock:book") // one causal cut
	// README ends
	_, _, _ = value, found, items
	return err
}

// TestReadmeShowsWhatCompiles: the README's code is the code above, but for the
// columns of its comments.
func TestReadmeShowsWhatCompiles(t *testing.T) {
	_ = readme
	between := func(path, begin, end string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(text), begin)
		block, _, ended := strings.Cut(rest, end)
		if !ok || !ended {
			t.Fatalf("%s has nothing between %q and %q", path, begin, end)
		}
		return strings.Join(strings.Fields(block), " ")
	}
	shown := between("../README.md", "```go\n", "```")
	compiled := between("readme_test.go", "// README begins\n", "// README ends")
	if shown != compiled {
		t.Errorf("the README shows\n%s\nand what compiles is\n%s", shown, compiled)
	}
}
