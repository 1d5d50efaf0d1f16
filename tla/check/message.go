package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Message is one of TLC's, as its option -tool marks them. What stands between
// marked messages, the parser's words, is a message with the code codeNone.
type Message struct {
	Code     int
	Severity int
	Text     string
}

// The severities of tool/tlc2's messages.
const (
	severityNone = iota
	severityError
	severityBug
	severityWarning
	severityState
)

// The codes of messages that a verdict rests on, as tlc2.output.EC has them.
const (
	codeNone              = 0
	codeInvariantInitial  = 2107
	codePropertyInitial   = 2108
	codeInvariant         = 2110
	codeActionProperty    = 2112
	codeDeadlock          = 2114
	codeTemporal          = 2116
	codeBackToState       = 2122
	codeFinished          = 2186
	codeSimulation        = 2188
	codeSuccess           = 2193
	codeDepth             = 2194
	codeStates            = 2199
	codeProgress          = 2200
	codeProgressSimulated = 2209
	codeStatesSimulated   = 2210
	codeState             = 2217
	codeStuttering        = 2218
	codeSANYEnd           = 2219
	codeSANYStart         = 2220
	codeParsing           = 3002
)

const (
	markBegin = "@!@!@STARTMSG "
	markEnd   = "@!@!@ENDMSG "
)

// maxLine bounds a line of TLC's: a state's variable may be on one.
const maxLine = 16 << 20

// readMessages calls take for each message of r, as soon as it is complete, until r
// ends. Each line outside of messages is one.
func readMessages(r io.Reader, take func(Message)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	var open *Message
	var text strings.Builder
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, markBegin):
			open = new(Message)
			text.Reset()
			if _, err := fmt.Sscanf(line[len(markBegin):], "%d:%d", &open.Code, &open.Severity); err != nil {
				return fmt.Errorf("TLC's output has a mark that nobody understands: %q", line)
			}
		case open == nil:
			take(Message{Text: line})
		case strings.HasPrefix(line, markEnd):
			open.Text = strings.TrimSpace(text.String())
			take(*open)
			open = nil
		default:
			text.WriteString(line + "\n")
		}
	}
	if open != nil { // cut short
		open.Text = strings.TrimSpace(text.String())
		take(*open)
	}
	return lines.Err()
}
