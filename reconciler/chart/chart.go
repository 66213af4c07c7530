// Package chart draws lines over time for the pages, as the paths of an SVG.
//
// It is own code because the pages' Content-Security-Policy allows no style
// attributes, which chart libraries write, and because one drawing has to serve
// light and dark: its colours come from the pages' style sheet.
package chart

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Width and Height are the size of the drawing in its own units.
const (
	Width  = 1000
	Height = 160
)

// Point is a value that holds from At on, for one step.
type Point struct {
	At    time.Time
	Value float64
}

// Frame is what a drawing shows: the time from From to To, and values from 0 to
// Top. Points are Step apart; where one is missing, the line is broken.
type Frame struct {
	From, To time.Time
	Step     time.Duration
	Top      float64
}

// Line is the path of the points as steps, for the attribute d of a path. The
// points are in order of time.
func (f Frame) Line(points []Point) string { return f.path(points, false) }

// Area is the path of what lies below them.
func (f Frame) Area(points []Point) string { return f.path(points, true) }

func (f Frame) path(points []Point, closed bool) string {
	var b strings.Builder
	right := -1.0 // where the line has come to
	put := func(letter string, numbers ...float64) {
		b.WriteString(letter)
		for i, n := range numbers {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64))
		}
	}
	for _, p := range points {
		x, y := f.x(p.At), f.y(p.Value)
		if right >= 0 && x > right+0.5 { // a gap
			if closed {
				put("V", Height)
				put("Z")
			}
			right = -1
		}
		switch {
		case right >= 0:
			put("V", y)
		case closed:
			put("M", x, Height)
			put("V", y)
		default:
			put("M", x, y)
		}
		right = f.x(p.At.Add(f.Step))
		put("H", right)
	}
	if closed && right >= 0 {
		put("V", Height)
		put("Z")
	}
	return b.String()
}

// Span is where a point lies from left to right: its begin and its width.
func (f Frame) Span(p Point) (x, width float64) {
	x = f.x(p.At)
	return math.Round(x*10) / 10, math.Round((f.x(p.At.Add(f.Step))-x)*10) / 10
}

// Y is where a value lies, from the top.
func (f Frame) Y(value float64) float64 { return math.Round(f.y(value)*10) / 10 }

func (f Frame) x(t time.Time) float64 {
	return Width * min(1, max(0, float64(t.Sub(f.From))/float64(f.To.Sub(f.From))))
}

func (f Frame) y(value float64) float64 {
	return Height * (1 - min(1, max(0, value/f.Top)))
}

// Top is a round number at or above the greatest value, at least least.
func Top(greatest, least float64) float64 {
	greatest = max(greatest, least)
	power := math.Pow(10, math.Floor(math.Log10(greatest)))
	for _, n := range []float64{1, 1.5, 2, 3, 4, 5, 6, 8} {
		if n*power >= greatest {
			return n * power
		}
	}
	return 10 * power
}
