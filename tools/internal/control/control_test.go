package control

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"causalmesh/clientlib"
)

func TestUnderstand(t *testing.T) {
	for _, c := range []struct {
		line    []string
		command string
		want    call
	}{
		{[]string{"get", "k"}, "get", call{arguments: arguments{words: []string{"k"}}}},
		{
			[]string{"--target", "unix:x", "put", "k", "v", "--ttl", "3s", "-context=c"}, "put",
			call{settings: settings{target: "unix:x", ttl: 3 * time.Second, context: "c"}, arguments: arguments{words: []string{"k", "v"}}},
		},
		{[]string{"put", "k", "--", "--target"}, "put", call{arguments: arguments{words: []string{"k", "--target"}}}},
		{[]string{"put", "k", "-"}, "put", call{arguments: arguments{words: []string{"k", "-"}}}},
		{[]string{"mget", "a", "--json", "b", "c"}, "mget", call{settings: settings{json: true}, arguments: arguments{words: []string{"a", "b", "c"}}}},
		{
			[]string{"status", "--admin", "a:1", "--admin", "b:2", "--timeout", "1s"}, "status",
			call{settings: settings{admins: []string{"a:1", "b:2"}, timeout: time.Second}},
		},
		{
			[]string{"cluster", "--dir", "d", "up", "-n", "5", "--", "-max-conns", "9", "--", "x"}, "cluster up",
			call{settings: settings{dir: "d", nodes: 5}, arguments: arguments{after: []string{"-max-conns", "9", "--", "x"}}},
		},
	} {
		command, got, err := understand(c.line)
		if err != nil || command.name != c.command {
			t.Errorf("%q: %v, %v, want %s", c.line, command, err, c.command)
			continue
		}
		want := c.want
		if want.dir == "" {
			want.dir = defaultDir
		}
		if want.nodes == 0 {
			want.nodes = defaultNodes
		}
		want.pins = defaultPins
		if want.timeout == 0 {
			want.timeout = command.timeout
		}
		if len(got.words) == 0 {
			got.words = nil
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%q\ngot  %+v\nwant %+v", c.line, *got, want)
		}
	}
}

// TestMisunderstood: errors say what to write.
func TestMisunderstood(t *testing.T) {
	for _, c := range []struct{ line, says string }{
		{"", "meshctl --help"},
		{"fetch k", `no command "fetch k"`},
		{"cluster", `no command "cluster"`},
		{"cluster restart", `no command "cluster restart"`},
		{"get", "meshctl get KEY"},
		{"get a b", "meshctl get KEY"},
		{"put k", "meshctl put KEY VALUE"},
		{"mget", "meshctl mget KEY..."},
		{"get k --ttl 3s", "meshctl get has no --ttl"},
		{"status k", "meshctl status"},
		{"cluster up three", "meshctl cluster up [-- FLAGS OF causalmeshd]"},
		{"cluster down --force", "-force"},
		{"put n -1", "a key or value that begins with a dash goes after --"},
		{"get k --timeout -1s", "--timeout"},
		{"put k v --ttl soon", "-ttl"},
	} {
		_, _, err := understand(strings.Fields(c.line))
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("meshctl %s\ngot  %v\nwant %s", c.line, err, c.says)
		}
	}
}

// TestUsage: the help names all commands and flags, and its examples are understood.
func TestUsage(t *testing.T) {
	var b bytes.Buffer
	if code := Main([]string{"--help"}, &b, &b); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	text := b.String()
	for _, line := range []string{"help", "help get", "get k -h"} {
		var out bytes.Buffer
		if code := Main(strings.Fields(line), &out, io.Discard); code != exitDone || out.String() != text {
			t.Errorf("meshctl %s: exit code %d and another text than --help", line, code)
		}
	}
	for _, c := range commands() {
		if strings.Contains(text, "  "+c.name+" ") == c.hidden {
			t.Errorf("help and %q do not go together", c.name)
		}
		f := flagsFor(&settings{})
		for _, name := range c.flags {
			if f.Lookup(name) == nil {
				t.Errorf("%s: there is no flag %s", c.name, name)
			}
		}
	}
	flagsFor(&settings{}).VisitAll(func(f *flag.Flag) {
		if !strings.Contains(text, "\n  -"+f.Name) {
			t.Errorf("no word about -%s", f.Name)
		}
	})
	examples := 0
	for line := range strings.SplitSeq(text, "\n") {
		if words, found := strings.CutPrefix(line, "  meshctl "); found {
			examples++
			if _, _, err := understand(strings.Fields(words)); err != nil {
				t.Errorf("%s\n%v", line, err)
			}
		}
	}
	if examples < 8 {
		t.Errorf("%d examples found", examples)
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		line string
		code int
		says string
	}{
		{"nonsense", exitUsage, "meshctl --help"},
		{"get k", exitUsage, "--target is missing"},
		{"get k --target http://x", exitUsage, "meshctl: usage: --target: bad request: target \"http://x\": want \"unix:/path/to/socket\""},
		{"get k --target unix:/no/such/socket", exitFailed, "check that the node runs"},
		{"status", exitUsage, "--admin"},
		{"cluster down --dir /no/such/folder", exitFailed, "meshctl cluster up"},
		{"cluster up --bin /no/such/causalmeshd --dir " + t.TempDir(), exitFailed, "--bin"},
	} {
		var out, bad bytes.Buffer
		if code := Main(strings.Fields(c.line), &out, &bad); code != c.code || !strings.Contains(bad.String(), c.says) || out.Len() > 0 {
			t.Errorf("meshctl %s: exit code %d, %s%s", c.line, code, &out, &bad)
		}
	}
}

// TestEveryLineIsNamed: errors of several lines say on each whose they are.
func TestEveryLineIsNamed(t *testing.T) {
	var bad bytes.Buffer
	report(&bad, errors.Join(ErrUsage, ErrAbsent))
	if got := bad.String(); got != "meshctl: usage\nmeshctl: no value\n" {
		t.Errorf("%q", got)
	}
}

// TestStore: a context replaces the file at once, and only its owner reads it.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c")
	for _, text := range []string{"first, and longer", "second"} {
		f, err := newContextFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.store([]byte(text), ErrAbsent); err != ErrAbsent {
			t.Fatal(err)
		}
		f.discard()
		got, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || string(got) != text || info.Mode().Perm() != 0o600 {
			t.Errorf("%q, %v, %v, %v", got, info.Mode(), err, statErr)
		}
	}
	onlyHas(t, dir, "c")
}

// TestNotStored: what was done and what was not is said, and nothing is left.
func TestNotStored(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c")
	if _, err := newContextFile(filepath.Join(path, "c")); err == nil || !strings.Contains(err.Error(), "nothing was done") {
		t.Errorf("stored in a folder that is not there: %v", err)
	}
	for _, c := range []struct {
		result error
		says   string
	}{{nil, "done, but the context could not be stored in " + path}, {ErrAbsent, "no value, but"}} {
		f, err := newContextFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(path, 0o700); err != nil { // which no file replaces
			t.Fatal(err)
		}
		if err := f.store(nil, c.result); err == nil || !strings.HasPrefix(err.Error(), c.says) || errors.Is(err, ErrAbsent) {
			t.Errorf("got %v, want %s", err, c.says)
		}
		f.discard()
		onlyHas(t, dir, "c")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func onlyHas(t *testing.T, dir, name string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != name {
		t.Errorf("%v, %v in the folder, want %s alone", files, err, name)
	}
}

// TestItem: values that are no text are not mangled.
func TestItem(t *testing.T) {
	binary := clientlib.Item{Key: "k", Found: true, Value: []byte{0xff, 0}}
	if j := newItem(&binary); j.Value != nil || !bytes.Equal(j.Base64, binary.Value) {
		t.Errorf("%+v", j)
	}
	empty := clientlib.Item{Key: "k", Found: true, Value: []byte{}}
	if j := newItem(&empty); j.Value == nil || *j.Value != "" {
		t.Errorf("%+v", j)
	}
	if j := newItem(&clientlib.Item{Key: "k"}); j.Value != nil || j.Base64 != nil || j.Version != nil {
		t.Errorf("%+v", j)
	}
}

// What a node says does nothing to the terminal of who asks it.
func TestErrorsAreHarmless(t *testing.T) {
	var out strings.Builder
	report(&out, errors.Join(errors.New("µs \x1b]0;title\x07"), errors.New("two\u202e\r")))
	if got, want := out.String(), "meshctl: µs ?]0;title?\nmeshctl: two??\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
