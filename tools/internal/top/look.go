package top

import (
	"os"
	"strings"
	"unicode/utf8"
)

// Look is what a terminal can show.
type Look struct {
	ASCII  bool
	Colour bool
}

// LookOf goes by the environment, as other programs do.
func LookOf(ascii bool) Look {
	locale := ""
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} { // The first that is set counts.
		if locale = os.Getenv(name); locale != "" {
			break
		}
	}
	locale = strings.ToUpper(locale)
	utf8 := strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8")
	return Look{ASCII: ascii || !utf8, Colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (l Look) units(text string) string {
	if l.ASCII {
		return strings.ReplaceAll(text, "µ", "u")
	}
	return text
}

// blocks are the heights of a spread's columns.
func (l Look) blocks() []rune {
	if l.ASCII {
		return []rune(".:-=+*%@")
	}
	return []rune("▁▂▃▄▅▆▇█")
}

// nothing is the height of none.
func (l Look) nothing() rune {
	if l.ASCII {
		return ' '
	}
	return '·'
}

// parts are queue, service and send in a bar. They differ without colours, too.
func (l Look) parts() [3]rune {
	if l.ASCII {
		return [3]rune{'-', '#', '='}
	}
	return [3]rune{'░', '█', '▒'}
}

func (l Look) dots() string {
	if l.ASCII {
		return "..."
	}
	return "…"
}

// style is how a text looks: parameters of an ANSI sequence. Colours are the
// terminal's own sixteen, which suit its background.
type style string

const (
	plain   style = ""
	strong  style = "1"
	faint   style = "2"
	good    style = "32"
	bad     style = "1;31"
	inverse style = "7"
	queue   style = "33"
	service style = "36"
	send    style = "35"
)

// line is one line of the screen. Each rune in it takes one cell: its texts are ASCII,
// or the few others of this file.
type line struct {
	look  Look
	width int // the window's
	used  int
	text  strings.Builder
}

// put adds text, as much of it as there is room for.
func (l *line) put(s style, text string) *line {
	room := l.width - l.used
	if n := utf8.RuneCountInString(text); n > room {
		text = string([]rune(text)[:room])
	}
	l.used += utf8.RuneCountInString(text)
	if l.look.Colour && s != plain && text != "" {
		text = "\x1b[" + string(s) + "m" + text + "\x1b[0m"
	}
	l.text.WriteString(text)
	return l
}

// right adds text that ends after so many cells more.
func (l *line) right(s style, cells int, text string) *line {
	l.put(plain, strings.Repeat(" ", max(cells-utf8.RuneCountInString(text), 0)))
	return l.put(s, text)
}

// left adds text, and spaces to so many cells.
func (l *line) left(s style, cells int, text string) *line {
	l.put(s, text)
	return l.put(plain, strings.Repeat(" ", max(cells-utf8.RuneCountInString(text), 0)))
}

// end fills the line, so that nothing of what was there before stays.
func (l *line) end() string {
	l.put(plain, strings.Repeat(" ", l.width-l.used))
	return l.text.String()
}

// printable makes ASCII of a text from outside.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, text)
}

// wrap breaks a text into lines at spaces, where there are any, at most so many.
func wrap(text string, width, most int, dots string) []string {
	var lines []string
	for words := []rune(strings.TrimSpace(text)); len(words) > 0 && width > 0; {
		if len(words) <= width {
			return append(lines, string(words))
		}
		if len(lines) == most-1 {
			return append(lines, string(words[:max(width-utf8.RuneCountInString(dots), 0)])+dots)
		}
		at := width
		for i := width; i > width/2; i-- {
			if words[i] == ' ' {
				at = i
				break
			}
		}
		lines = append(lines, string(words[:at]))
		words = []rune(strings.TrimLeft(string(words[at:]), " "))
	}
	return lines
}
