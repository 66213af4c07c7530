package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/simulator"
)

// The page follows what happens without being loaded again: progress grows while
// an apply runs, two tabs stay in step, and what has the focus keeps it.
func TestPageFollowsAnApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Config{BootTime: 6 * time.Second, BuildTime: time.Minute}, quick)
	s := w.serve(t, "DRONE_POOL_MIN=1", "DRONE_POOL_IDLE=1h")
	one := browse(t, s.url)
	one.login(w.Config().ServerToken)
	two := one.another()
	two.open("/ui")
	until(t, "the first server runs, so that it is known how long one takes", 60*time.Second, func() bool { return len(s.servers()["running"]) == 1 })
	for _, b := range []*tab{one, two} {
		evaluate[bool](b, `window.loadedOnce = true`)
	}
	evaluate[bool](one, `(document.querySelector("main a.name").focus(), true)`)

	w.Enqueue(6)
	value := func() int {
		return evaluate[int](one, `Math.max(0, ...[...document.querySelectorAll("progress")].map((p) => p.hasAttribute("value") ? p.value : 0))`)
	}
	before := 0
	until(t, "a bar shows progress", 30*time.Second, func() bool { before = value(); return before > 0 })
	until(t, "it grows while the apply runs", 30*time.Second, func() bool {
		return value() > before && s.get("/api/runs?phase=applying") != "[]"
	})
	until(t, "both tabs show all servers running", 60*time.Second, func() bool {
		rows := one.rows()
		return strings.Count(rows, " running") == len(s.servers()["running"]) && strings.Count(rows, "server-") >= 3 && rows == two.rows()
	})
	for _, b := range []*tab{one, two} {
		if !evaluate[bool](b, `window.loadedOnce === true`) {
			t.Error("a tab was loaded again")
		}
	}
	if !evaluate[bool](one, `document.activeElement.matches("a.name")`) {
		t.Error("what had the focus has lost it")
	}

	// What is pressed in one tab is told to the other, which need not ask for it.
	evaluate[bool](two, `(() => {
		const after = window.setTimeout;
		window.setTimeout = (f, delay, ...rest) => (delay > 1000 ? 0 : after(f, delay, ...rest));
		for (let id = after(() => {}, 0); id > 0; id--) clearTimeout(id);
		return true;
	})()`)
	one.press(`form[action$="/pause"] button`)
	until(t, "both tabs tell of the pause", 20*time.Second, func() bool {
		return strings.Contains(evaluate[string](two, `document.getElementById("notices").textContent`), "Paused.")
	})
	if paused := s.get("/varz"); paused != `{"paused":true}` {
		t.Errorf("varz says %s", paused)
	}

	// A page that can no longer be kept as it is now says so, where it is seen.
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	until(t, "the page says that hangar does not answer", 20*time.Second, func() bool {
		return evaluate[bool](one, `(() => {
			const e = document.getElementById("link"), box = e.getBoundingClientRect();
			return e.textContent.startsWith("Hangar does not answer") && box.top > 0 && box.bottom <= innerHeight;
		})()`)
	})
	one.check("a page whose server is gone")
	for _, b := range []*tab{one, two} {
		b.forgive("net::ERR") // of which the console tells
	}
}

// What waits is decided by a click, and terraform does it: what is approved is
// applied, what is discarded is not; another tab is told of both.
func TestDecisionsByClick(t *testing.T) {
	w := newWorld(t, simulator.Config{BootTime: 100 * time.Millisecond, BuildTime: time.Second}, quick)
	settings := []string{"DRONE_TERRAFORM_APPROVAL=all", "DRONE_TERRAFORM_SETTLE=1s", "DRONE_POOL_IDLE=1s"}
	w.Enqueue(1)
	s := w.serve(t, settings...)
	create := w.oneWaits(t, settings, 0)
	one := browse(t, s.url)
	one.login(w.Config().ServerToken)
	two := one.another()
	two.open("/ui")
	notice := func(b *tab, run int64) bool {
		return evaluate[bool](b, fmt.Sprintf(`document.getElementById("waits-%d") !== null`, run))
	}
	pill := func(b *tab, run int64) string {
		return evaluate[string](b, fmt.Sprintf(`document.querySelector("#run-%d .pill")?.textContent || ""`, run))
	}
	if !notice(one, create.ID) || !notice(two, create.ID) || w.Stats().Created != 0 {
		t.Errorf("nothing tells that run %d waits, or it does not: %+v", create.ID, w.Stats())
	}
	one.press(fmt.Sprintf("#waits-%d a", create.ID))
	one.press(`form[action$="/approve"] button`)
	until(t, "the build has succeeded", 90*time.Second, func() bool { return w.Stats().Succeeded == 1 })
	until(t, "the other tab tells that it is applied", 20*time.Second, func() bool { return pill(two, create.ID) == "applied" && !notice(two, create.ID) })
	until(t, "the run's own page does", 20*time.Second, func() bool {
		text := evaluate[string](one, `document.querySelector("main").textContent`)
		return strings.Contains(text, "root approved it") && strings.Contains(text, "Apply complete!")
	})

	destroy := w.oneWaits(t, settings, create.ID)
	until(t, "the other tab tells that it waits", 20*time.Second, func() bool { return notice(two, destroy.ID) })
	one.open(fmt.Sprintf("/ui/runs/%d", destroy.ID))
	one.press(`form[action$="/discard"] button`)
	until(t, "its server is back at work", 60*time.Second, func() bool { return len(s.servers()["running"]) == 1 })
	until(t, "the other tab tells that it is discarded", 20*time.Second, func() bool { return pill(two, destroy.ID) == "discarded" && !notice(two, destroy.ID) })
	if stats := w.Stats(); stats.Created != 1 || stats.Alive != 1 {
		t.Errorf("what was discarded was done: %+v", stats)
	}
}
