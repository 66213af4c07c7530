package agent

import (
	"bytes"
	"io"
	"sync"
)

// maxLine is where a line is broken that does not end, in bytes.
const maxLine = 64 << 10

// page is what several streams are written to, line by line, until it is
// closed or limit bytes were written, where limit is not 0.
type page struct {
	mu      sync.Mutex
	w       io.Writer
	limit   int
	written int
	closed  bool
	failed  func(error) // is told when w fails
}

// close ends the page: nothing is written afterwards.
func (p *page) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

// line writes one printable line.
func (p *page) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	text = printable(text) + "\n"
	p.written += len(text)
	if p.limit > 0 && p.written > p.limit {
		p.closed = true
		text = "... (more is not shown)\n"
	}
	if _, err := io.WriteString(p.w, text); err != nil {
		p.closed = true
		if p.failed != nil {
			p.failed(err)
		}
	}
}

// stream is one of the streams on a page.
type stream struct {
	page *page
	rest []byte // of a line that has not ended
}

func (s *stream) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break
		}
		s.page.line(string(append(s.rest, b[:i]...)))
		s.rest, b = s.rest[:0], b[i+1:]
	}
	s.rest = append(s.rest, b...)
	for len(s.rest) >= maxLine {
		s.page.line(string(s.rest[:maxLine]))
		s.rest = append(s.rest[:0], s.rest[maxLine:]...)
	}
	return n, nil
}

// end writes a line that did not end.
func (s *stream) end() {
	if len(s.rest) > 0 {
		s.page.line(string(s.rest))
		s.rest = nil
	}
}
