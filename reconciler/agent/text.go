package agent

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// escapes are the sequences by which a program steers a terminal (ECMA-48).
var escapes = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|\x1b[ -/]*[0-~]")

// printable is a line as a terminal would show it in the end, free of all
// that would steer one or hide part of it: what comes from a machine that runs
// other people's builds is shown to people.
func printable(line string) string {
	line = strings.TrimRight(escapes.ReplaceAllString(line, ""), "\r")
	line = line[strings.LastIndexByte(line, '\r')+1:] // a progress bar's last look
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return -1
	}, strings.ToValidUTF8(line, "\ufffd"))
}

// lastLines are the last lines of text that are not empty, printable, at most
// count of them and at most size bytes, where whole lines are left out first.
func lastLines(text string, count, size int) string {
	var kept []string
	lines := strings.Split(text, "\n")
	for i := len(lines) - 1; i >= 0 && len(kept) < count; i-- {
		line := strings.TrimSpace(printable(lines[i]))
		if line == "" {
			continue
		}
		if len(line) > size {
			if len(kept) == 0 {
				kept = append(kept, shorten(line, size))
			}
			break
		}
		size -= len(line) + 1
		kept = append([]string{line}, kept...)
	}
	return strings.Join(kept, "\n")
}

// shorten cuts a line down to size bytes.
func shorten(line string, size int) string {
	if len(line) <= size {
		return line
	}
	return strings.ToValidUTF8(line[:size], "") + "..."
}

// sentence is the first words of what a command said, for an error or a
// detail: one line.
func sentence(text string) string {
	return shorten(strings.Join(strings.Fields(strings.ReplaceAll(lastLines(text, 3, 400), "\n", " ")), " "), 400)
}

// capture keeps the first limit bytes that are written to it. It may be read
// while the far end still writes.
type capture struct {
	mu    sync.Mutex
	text  bytes.Buffer
	limit int
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.Write(p[:min(len(p), c.limit-c.text.Len())])
	return len(p), nil
}

func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}
