package main

import (
	"context"
	_ "embed"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tab is a tab of a headless Chromium.
type tab struct {
	t    *testing.T
	ctx  context.Context
	site string // base URL of what it may ask

	mu    sync.Mutex
	asked int      // requests to the site
	wrong []string // what the console was told, and requests that leave the site
}

// browse starts Chromium with a tab; further tabs are its Another.
func browse(t *testing.T, site string) *tab {
	t.Helper()
	need(t, "chromium")
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.ExecPath("chromium"))
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	return newTab(t, ctx, site)
}

func newTab(t *testing.T, ctx context.Context, site string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, site: site}
	b.do()
	if err := chromedp.Listen(ctx, b.heard); err != nil {
		t.Fatal(err)
	}
	for _, enable := range []cdp.Command[cdp.Empty, cdp.Empty]{log.Enable, runtime.Enable} {
		if _, err := chromedp.Call(ctx, enable, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, wrong := range b.wrong {
			t.Error(wrong)
		}
		if b.asked == 0 {
			t.Error("no request was seen: none could have been seen to leave")
		}
	})
	return b
}

// another opens another tab of the same browser, with the same cookies.
func (b *tab) another() *tab {
	b.t.Helper()
	return newTab(b.t, b.ctx, b.site)
}

// heard notes what must not happen.
func (b *tab) heard(event any) {
	wrong := ""
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		wrong = "the console was told something: " + string(e.Type)
	case *runtime.EventExceptionThrown:
		wrong = "the script failed: " + e.ExceptionDetails.Text
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelVerbose {
			return
		}
		wrong = "the console shows: " + e.Entry.Text
	case *network.EventRequestWillBeSent:
		to, err := url.Parse(e.Request.URL)
		if err == nil && to.Scheme+"://"+to.Host == b.site {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asked++
			return
		}
		wrong = "a request leaves for " + e.Request.URL
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, wrong)
}

// forgive overlooks what the console was told on purpose.
func (b *tab) forgive(words string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = slices.DeleteFunc(b.wrong, func(wrong string) bool { return strings.Contains(wrong, words) })
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.site + path))
}

// evaluate returns what a script finds on a tab's page.
func evaluate[T any](b *tab, script string) T {
	b.t.Helper()
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return found
}

// press clicks what a selector finds, and waits for the page that follows.
func (b *tab) press(selector string) {
	b.t.Helper()
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		b.t.Fatalf("click %s: %v", selector, err)
	}
}

func (b *tab) login(token string) {
	b.t.Helper()
	b.open("/ui/login")
	b.do(chromedp.SendKeys(chromedp.CSS("#token"), token))
	b.press("main button")
	if path := evaluate[string](b, "location.pathname"); path != "/ui" {
		b.t.Fatalf("the login leads to %s", path)
	}
}

// look sets how wide the tab is, and which colours are preferred.
func (b *tab) look(width int64, scheme string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 900))
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

//go:embed testdata/accessible.js
var accessible string

// check judges a page as tools for accessibility do: names, contrast, headings,
// tables; and that it does not scroll sideways.
func (b *tab) check(what string) {
	b.t.Helper()
	for _, fault := range evaluate[[]string](b, accessible) {
		b.t.Errorf("%s: %s", what, fault)
	}
}

// tabThrough goes through a page by keyboard: everything that can be used is
// reached in the order of the page, and shows that it is.
func (b *tab) tabThrough(what string) {
	b.t.Helper()
	usable := evaluate[int](b, `(window.usable = [...document.querySelectorAll("a[href], button, select, input:not([type=hidden]), summary, pre[tabindex]")].filter((e) => e.checkVisibility())).length`)
	var reached []int
	for range usable {
		b.do(chromedp.KeyEvent(kb.Tab))
		reached = append(reached, evaluate[int](b, `window.usable.indexOf(document.activeElement)`))
		if !evaluate[bool](b, `getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
			b.t.Errorf("%s: nothing shows that %s has the focus", what, evaluate[string](b, "document.activeElement.outerHTML.slice(0, 80)"))
		}
	}
	if usable < 5 || !slices.IsSorted(reached) || reached[0] != 0 || len(slices.Compact(reached)) != usable {
		b.t.Errorf("%s: of %d things, the keyboard reaches %v", what, usable, reached)
	}
}

// rows are the servers that a page shows, with their states.
func (b *tab) rows() string {
	b.t.Helper()
	return strings.Join(evaluate[[]string](b, `[...document.querySelectorAll("tr[id^=server-]")].map((r) => r.id + " " + r.querySelector(".pill").textContent)`), ", ")
}
