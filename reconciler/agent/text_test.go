package agent

import "testing"

func TestPrintable(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"plain", "a line\twith a tab", "a line\twith a tab"},
		{"colour", "\x1b[1;31mred\x1b[0m", "red"},
		{"title", "\x1b]0;owned\x07text\x1b]8;;http://x\x1b\\link", "textlink"},
		{"escape without an end", "a\x1b", "a"},
		{"C1", "a\u009b31mb", "a31mb"},
		{"progress", "10%\r50%\r100%\r", "100%"},
		{"right to left override", "user\u202etxt.exe", "usertxt.exe"},
		{"not UTF-8", "a\xffb", "a\ufffdb"},
		{"other spaces", "a\u00a0b", "a b"},
		{"letters", "größer 模型", "größer 模型"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := printable(tt.line); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
