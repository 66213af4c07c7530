package chart

import (
	"testing"
	"time"
)

func TestPaths(t *testing.T) {
	from := time.Unix(0, 0)
	at := func(m int) time.Time { return from.Add(time.Duration(m) * time.Minute) }
	f := Frame{From: from, To: at(10), Step: time.Minute, Top: 4}
	tests := []struct {
		name       string
		points     []Point
		line, area string
	}{
		{"nothing", nil, "", ""},
		{"steps", []Point{{at(0), 1}, {at(1), 4}}, "M0 120H100V0H200", "M0 160V120H100V0H200V160Z"},
		{"a gap", []Point{{at(0), 2}, {at(5), 2}}, "M0 80H100M500 80H600", "M0 160V80H100V160ZM500 160V80H600V160Z"},
		{"beyond the frame", []Point{{at(-1), 9}, {at(9), 9}, {at(10), -1}}, "M0 0H0M900 0H1000V160H1000", "M0 160V0H0V160ZM900 160V0H1000V160H1000V160Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := f.Line(tt.points); got != tt.line {
				t.Errorf("line %s, want %s", got, tt.line)
			}
			if got := f.Area(tt.points); got != tt.area {
				t.Errorf("area %s, want %s", got, tt.area)
			}
		})
	}
	if x, width := f.Span(Point{at(2), 0}); x != 200 || width != 100 || f.Y(1) != 120 {
		t.Errorf("span %v %v, y %v", x, width, f.Y(1))
	}
}

func TestTop(t *testing.T) {
	for greatest, want := range map[float64]float64{0: 4, 3: 4, 4: 4, 7: 8, 9: 10, 11: 15, 22: 30, 41: 50, 61: 80, 1000: 1000, 1001: 1500} {
		if got := Top(greatest, 4); got != want {
			t.Errorf("Top(%v) = %v, want %v", greatest, got, want)
		}
	}
	if got := Top(0, 0.01); got != 0.01 {
		t.Errorf("Top(0, 0.01) = %v", got)
	}
}
