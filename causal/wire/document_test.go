package wire

import (
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"causalmesh/causal"
)

// docs/wire.md is held to the code: its numbers, and every byte that it shows.
func readDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocumentedBytes(t *testing.T) {
	vectors := readVectors(t)
	blocks := regexp.MustCompile("(?ms)^```hexdump ([^\n]+)\n(.*?)^```").FindAllStringSubmatch(readDocument(t), -1)
	if len(blocks) < 3 {
		t.Fatalf("%d hexdumps, want a request, a reply and a ring message", len(blocks))
	}
	for _, b := range blocks {
		name, text := b[1], b[2]
		var shown strings.Builder
		for line := range strings.Lines(text) {
			bytes, _, _ := strings.Cut(line, "  ") // the annotation follows two blanks
			shown.WriteString(strings.ReplaceAll(bytes, " ", ""))
		}
		v, ok := vectors[name]
		if !ok {
			t.Errorf("hexdump %q has no vector", name)
		} else if shown.String() != v.Bytes {
			t.Errorf("hexdump %q:\nshows  %s\nvector %s", name, shown.String(), v.Bytes)
		}
		if raw, err := hex.DecodeString(shown.String()); err == nil && len(raw) > FrameHeaderBytes {
			if want := fmt.Sprintf("length: %d\n", len(raw)-FrameHeaderBytes); !strings.Contains(text, want) {
				t.Errorf("hexdump %q does not say %q", name, want)
			}
		}
	}
}

func TestDocumentedNumbers(t *testing.T) {
	text := readDocument(t)
	row := func(cells ...any) {
		t.Helper()
		want := "\n|"
		for _, c := range cells {
			want += fmt.Sprintf(" %v |", c)
		}
		if !strings.Contains(text, want) {
			t.Errorf("no row %s", want[1:])
		}
	}
	for typ, name := range typeNames {
		row(int(typ), name)
	}
	for name, value := range map[string]int{
		"MaxFrameBytes": MaxFrameBytes, "MaxHandshakeBytes": MaxHandshakeBytes, "MaxContextBytes": MaxContextBytes,
		"MaxKeyBytes": MaxKeyBytes, "MaxValueBytes": MaxValueBytes, "MaxBatchKeys": MaxBatchKeys,
		"MaxOwnWrites": MaxOwnWrites, "MaxBranches": MaxBranches, "MaxDetailBytes": MaxDetailBytes,
		"MaxReplicas": causal.MaxReplicas,
	} {
		row("`"+name+"`", value)
	}
	for code, name := range []string{
		"CodeOK", "CodeOverloaded", "CodeFutureContext", "CodeEpoch", "CodeTooLarge", "CodeUnavailable",
		"CodeForged", "CodeClock", "CodeBadRequest", "CodeNotReady",
	} {
		row(code, "`"+name+"`")
		if strings.HasPrefix(causal.Code(code).String(), "unknown") {
			t.Errorf("code %d is documented and does not exist", code)
		}
	}
	if next := causal.CodeNotReady + 1; !strings.HasPrefix(next.String(), "unknown") {
		t.Errorf("code %d exists and is not documented", next)
	}
	for code, name := range []string{
		RefusedVersion: "RefusedVersion", RefusedMalformed: "RefusedMalformed", RefusedOverloaded: "RefusedOverloaded",
		RefusedNotReady: "RefusedNotReady", RefusedConfig: "RefusedConfig", RefusedEpoch: "RefusedEpoch",
		RefusedProof: "RefusedProof", RefusedSharing: "RefusedSharing",
	} {
		if code > 0 {
			row(code, "`"+name+"`")
		}
	}
	if len(refusalTexts) != int(RefusedSharing)+1 {
		t.Errorf("%d refusal codes, %d documented", len(refusalTexts)-1, RefusedSharing)
	}
	for _, flag := range []uint8{flagTombstone, flagIncarnation, flagStampOrigin, flagEpoch, flagDeadline, flagDeps, flagMark} {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^\| %d \| [a-z]`, flag)).MatchString(text) {
			t.Errorf("flag %d is not documented", flag)
		}
	}
	for _, want := range []string{
		fmt.Sprintf("protocol version of the sender, now %d ", ProtocolVersion),
		fmt.Sprintf("of this format, now %d ", ContextVersion),
		"`" + Magic + "`",
		"`" + string(sampleKey) + "`",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the document", want)
		}
	}
	for op := causal.OpRead; op <= causal.OpSync; op++ {
		name := strings.ReplaceAll(op.String(), "-", " ")
		if want := fmt.Sprintf("%d %s", op, name); !strings.Contains(text, want) {
			t.Errorf("operation %q is not documented", want)
		}
	}
}
