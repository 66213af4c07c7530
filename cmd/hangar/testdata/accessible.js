// What is wrong with this page for who cannot see it well, or not at all, or
// sees it on a small screen (after WCAG 2.2, levels A and AA).
(() => {
  const faults = [];
  const say = (what, e) => faults.push(what + ": " + e.outerHTML.slice(0, 100));
  const shown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true });

  // 1.4.3: text against what is behind it.
  const colour = (text) => {
    const m = text.match(/[\d.]+/g).map(Number);
    return { rgb: m.slice(0, 3), alpha: m.length > 3 ? m[3] : 1 };
  };
  const over = (front, back) => front.rgb.map((c, i) => c * front.alpha + back[i] * (1 - front.alpha));
  const behind = (e) => {
    if (!e) return [255, 255, 255];
    const c = colour(getComputedStyle(e).backgroundColor);
    return c.alpha === 1 ? c.rgb : over(c, behind(e.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let counted = 0;
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.nodeValue.trim() || e.closest("svg, script, option") || !shown(e)) continue;
    counted++;
    const style = getComputedStyle(e), back = behind(e);
    const [a, b] = [light(over(colour(style.color), back)), light(back)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    if (ratio < (large ? 3 : 4.5)) say("a contrast of " + ratio.toFixed(2), e);
  }
  if (counted < 5) faults.push("the page has no text");

  // 4.1.2, 1.1.1, 2.4.4: everything that is used or seen has a name.
  const name = (e) => (e.getAttribute("aria-label") ||
    (e.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)?.textContent || "").join("") ||
    [...(e.labels || [])].map((l) => l.textContent).join("") || (e.matches("input, select, progress, nav, section, pre") ? "" : e.textContent)).trim();
  for (const e of document.querySelectorAll("a, button, input:not([type=hidden]), select, progress, summary, nav, section, [role=img], [role=region]")) {
    if (!name(e)) say("without a name", e);
  }
  for (const e of document.querySelectorAll("svg:not([role=img])")) {
    if (e.getAttribute("aria-hidden") !== "true") say("a picture that is neither named nor hidden", e);
  }

  // 1.3.1, 2.4.6: headings in order; tables with headers; lists of their items.
  let level = 0;
  for (const h of document.querySelectorAll("h1, h2, h3, h4")) {
    const n = Number(h.tagName[1]);
    if (n > level + 1) say("a heading skips a level", h);
    level = n;
  }
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  for (const th of document.querySelectorAll("th")) if (!th.scope) say("a header without scope", th);
  for (const li of document.querySelectorAll("ul > :not(li), ol > :not(li)")) say("no item of a list", li);
  if (document.querySelectorAll("main").length !== 1) faults.push("not one main");

  // 2.4.3, 3.1.1, 2.4.2, 4.1.1
  for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) say("out of order", e);
  if (document.documentElement.lang !== "en" || !document.title) faults.push("no language or title");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids.filter((id, i) => ids.indexOf(id) !== i)) faults.push("two have the id " + id);

  // 1.4.10: nothing scrolls sideways; 2.5.8: targets are large enough.
  if (document.documentElement.scrollWidth > innerWidth) faults.push("it scrolls sideways by " + (document.documentElement.scrollWidth - innerWidth));
  for (const e of document.querySelectorAll("button, .button, select, input:not([type=hidden]), nav a")) {
    const box = e.getBoundingClientRect();
    if (box.width < 24 || box.height < 24) say("too small to hit, " + box.width + " by " + box.height, e);
  }
  return faults;
})()
