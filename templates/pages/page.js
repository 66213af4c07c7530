// Keeps a page as it is now: it asks for itself whenever an event is told, now and
// then for what is no event, often while something is under way or no events can
// be had, and not while nobody looks. It changes only what has changed, so that focus,
// selection and scrolling stay.
(() => {
  "use strict";
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  const link = document.getElementById("link");
  const often = 2000, seldom = 6000;
  const again = 30000; // after a stream was refused
  const pause = 200; // between two events that are followed
  let tag = "", timer = 0, asking = false, source = null, tried = 0, told = 0;

  const say = (words) => {
    if (link.textContent !== words) link.textContent = words;
  };

  const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

  const sync = (old, now) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== now.nodeValue) old.nodeValue = now.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!now.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of now.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    if (old.nodeName !== "SELECT") syncChildren(old, now);
  };

  const syncChildren = (old, now) => {
    const known = new Map();
    for (const child of old.children) if (child.id) known.set(child.id, child);
    let at = old.firstChild;
    for (const next of [...now.childNodes]) {
      const same = next.id && known.get(next.id);
      if (same && same !== at && alike(same, next)) {
        old.insertBefore(same, at); // it has moved
        sync(same, next);
      } else if (at && alike(at, next)) {
        const here = at;
        at = at.nextSibling;
        sync(here, next);
      } else {
        old.insertBefore(document.importNode(next, true), at);
      }
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  };

  const look = async () => {
    if (document.hidden || asking) return;
    asking = true;
    try {
      const answer = await fetch(location.href, {
        headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store", redirect: "manual", credentials: "same-origin",
      });
      if (answer.type === "opaqueredirect" || answer.status === 401) {
        location.reload(); // the login has ended
        return;
      }
      if (answer.status === 200) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const now = page.querySelector("main");
        if (now) {
          sync(main, now);
          document.title = page.title;
          tag = answer.headers.get("ETag") || "";
        }
      }
      say(answer.status === 200 || answer.status === 304 ? "" : "Hangar answers with an error; this page may be old.");
    } catch {
      say("Hangar does not answer; this page may be old. It goes on trying.");
    } finally {
      asking = false;
    }
  };

  const hears = () => source?.readyState === EventSource.OPEN;
  const next = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      listen();
      look().finally(next);
    }, hears() && !main.querySelector("progress, .pill.busy") ? seldom : often);
  };
  const follow = () => {
    told = told || setTimeout(() => {
      told = 0;
      if (asking) follow();
      else look().finally(next);
    }, pause);
  };

  // A hidden page holds no connection: browsers have few of them for one server.
  const listen = () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source || source.readyState === EventSource.CLOSED && Date.now() - tried > again) {
      tried = Date.now();
      source = new EventSource(main.dataset.live);
      source.onmessage = follow;
    }
  };

  document.addEventListener("visibilitychange", () => {
    listen();
    if (!document.hidden) look().finally(next);
  });
  listen();
  next();
})();
