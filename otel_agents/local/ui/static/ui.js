// Every page: live refresh, links without a reload, the keyboard, theme and help.
// Pages work without this file; nothing here builds HTML from recorded text.
(() => {
  "use strict";
  const root = document.documentElement;
  const $ = (id) => document.getElementById(id);
  const store = {
    get: (key) => { try { return localStorage.getItem(`otel-agents-${key}`); } catch { return null; } },
    set: (key, value) => { try { localStorage.setItem(`otel-agents-${key}`, value); } catch { /* storage is off */ } },
  };
  const say = (text) => { $("say").textContent = text; };
  const plain = (event) => !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.button);

  // --- swapping regions ---------------------------------------------------------------------------
  // Regions are the elements with data-live and an id. What the server sent last is remembered, so that a
  // region that did not change is left alone, with everything the reader did to it.
  const sent = new Map();
  const remember = (doc) => {
    for (const region of doc.querySelectorAll("[data-live]")) sent.set(region.id, region.outerHTML);
  };
  remember(document);

  const rows = () => [...document.querySelectorAll("[data-rows] .row")];
  const keysOf = (doc) => new Set([...doc.querySelectorAll("[data-rows] .row")].map((row) => row.dataset.key));

  function swap(doc, { live = false } = {}) {
    const focused = document.activeElement?.id;
    const before = live ? keysOf(document) : null;
    // Rows that come in above what is being read must not push it away.
    const reading = live && scrollY > 0 ? rows().find((row) => row.getBoundingClientRect().bottom > 60) : null;
    const anchor = reading && reading !== rows()[0] ? [reading.id, reading.getBoundingClientRect().top] : null;
    const sideways = [...document.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    let changed = false;
    for (const region of document.querySelectorAll("[data-live]")) {
      const next = doc.getElementById(region.id);
      if (!next || sent.get(region.id) === next.outerHTML) continue;
      if (region.matches("select") && region === document.activeElement) continue;
      sent.set(region.id, next.outerHTML);
      region.replaceWith(document.adoptNode(next));
      changed = true;
    }
    document.title = doc.title;
    document.body.dataset.change = doc.body.dataset.change;
    if (doc.body.dataset.changes) document.body.dataset.changes = doc.body.dataset.changes;
    if (!changed) return;
    document.querySelectorAll(".scroll").forEach((box, at) => { box.scrollLeft = sideways[at] ?? 0; });
    if (focused && focused !== document.activeElement?.id) $(focused)?.focus({ preventScroll: true });
    if (anchor) {
      const row = $(anchor[0]);
      if (row) scrollBy(0, row.getBoundingClientRect().top - anchor[1]);
    }
    if (before) {
      const fresh = rows().filter((row) => !before.has(row.dataset.key));
      for (const row of fresh) row.classList.add("fresh");
      if (fresh.length && before.size) say(fresh.length === 1 ? "1 new row" : `${fresh.length} new rows`);
    }
    document.dispatchEvent(new CustomEvent("ui:swapped", { detail: { live } }));
  }

  let loading = null;
  async function load(url) {
    loading?.abort();
    const mine = (loading = new AbortController());
    const response = await fetch(url, { signal: mine.signal, headers: { accept: "text/html" } });
    const text = await response.text();
    if (loading === mine) loading = null;
    return { response, doc: new DOMParser().parseFromString(text, "text/html") };
  }

  async function go(url, { push = "push" } = {}) {
    root.dataset.busy = "";
    try {
      const { response, doc } = await load(url);
      if (!response.ok || new URL(response.url).pathname !== location.pathname) { location.assign(url); return; }
      swap(doc);
      fill(doc);
      if (push === "push") history.pushState(null, "", url);
      if (push === "replace") history.replaceState(null, "", url);
    } catch (error) {
      if (error.name !== "AbortError") location.assign(url);
    } finally {
      delete root.dataset.busy;
    }
  }
  addEventListener("popstate", () => { if (document.querySelector("[data-soft]")) go(location.href, { push: "none" }); });

  // The form itself is never swapped (the reader may be typing): its fields follow the URL.
  function fill(doc) {
    for (const next of doc.querySelectorAll("#filters [id][name]")) {
      const field = $(next.id);
      if (field && field !== document.activeElement && !field.matches("[data-live]")) field.value = next.value;
    }
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-soft]");
    if (!link || !plain(event) || event.defaultPrevented) return;
    event.preventDefault();
    go(link.href?.baseVal ?? link.href);
  });

  // --- filters ------------------------------------------------------------------------------------
  const form = $("filters");
  if (form) {
    const submit = (push) => {
      const query = new URLSearchParams();
      for (const [name, value] of new FormData(form)) if (value !== "") query.append(name, value);
      const text = query.toString();
      go(form.getAttribute("action") + (text ? `?${text}` : ""), { push });
    };
    let typing;
    form.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(typing); submit("push"); });
    form.addEventListener("change", (event) => {
      if (event.target.matches('[type="search"]')) return;
      if (event.target.matches('[type="datetime-local"]')) {
        const range = form.querySelector('[name="range"]');
        if (range) range.value = "";
      }
      submit("push");
    });
    form.addEventListener("input", (event) => {
      if (!event.target.matches('[type="search"]')) return;
      clearTimeout(typing);
      typing = setTimeout(() => submit("replace"), 250);
    });
    $("apply").hidden = true; // every change applies itself
    const custom = $("custom");
    if (custom) {
      document.addEventListener("click", (event) => { if (!custom.contains(event.target)) custom.open = false; });
      custom.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && custom.open) { custom.open = false; $("custom-open").focus(); event.stopPropagation(); }
      });
    }
    const more = $("more-filters");
    if (more && matchMedia("(max-width: 720px)").matches) more.open = false;
  }

  // --- live refresh -------------------------------------------------------------------------------
  const live = $("live");
  const states = {
    live: ["Live", "Live refresh is on. Pause it (l)"],
    paused: ["Paused", "Live refresh is paused. Resume it (l)"],
    lost: ["No answer", "The server does not answer; trying again"],
  };
  let paused = store.get("live") === "paused";
  let wait = 1500;
  let timer;
  const show = (state) => {
    live.dataset.state = state;
    live.querySelector(".word").textContent = states[state][0];
    live.title = states[state][1];
    live.setAttribute("aria-label", states[state][1]);
    live.setAttribute("aria-pressed", String(!paused));
  };
  const busy = () => {
    const selection = getSelection();
    return (selection && !selection.isCollapsed) || root.dataset.busy !== undefined;
  };
  async function look() {
    clearTimeout(timer);
    if (paused || document.hidden) return;
    try {
      const answer = await fetch(document.body.dataset.changes ?? "/ui/changes", { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const { change } = await answer.json();
      if (String(change) !== document.body.dataset.change && !busy() && !paused) {
        const here = location.href;
        const { response, doc } = await load(here);
        if ((response.ok || response.status === 404) && here === location.href && !paused) {
          if (doc.getElementById("missing") || !$("missing")) swap(doc, { live: true });
          else location.reload();
        }
      }
      if (!paused) show("live");
      wait = 1500;
    } catch (error) {
      if (error.name !== "AbortError") { show("lost"); wait = Math.min(wait * 2, 15000); }
    }
    timer = setTimeout(look, wait);
  }
  function toggleLive() {
    paused = !paused;
    store.set("live", paused ? "paused" : "live");
    show(paused ? "paused" : "live");
    say(paused ? "Live refresh paused" : "Live refresh on");
    if (paused) clearTimeout(timer); else look();
  }
  live.hidden = false;
  show(paused ? "paused" : "live");
  live.addEventListener("click", toggleLive);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  timer = setTimeout(look, wait);

  // --- theme and help -----------------------------------------------------------------------------
  const theme = $("theme");
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const shine = () => { root.dataset.shown = dark() ? "dark" : "light"; theme.setAttribute("aria-label", dark() ? "Use light colours" : "Use dark colours"); };
  function toggleTheme() {
    root.dataset.theme = dark() ? "light" : "dark";
    store.set("theme", root.dataset.theme);
    shine();
  }
  theme.hidden = false;
  theme.addEventListener("click", toggleTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", shine);
  shine();
  const help = $("help");
  const opener = $("help-open");
  opener.hidden = false;
  opener.addEventListener("click", () => help.showModal());

  // --- rows ---------------------------------------------------------------------------------------
  function move(to) {
    const all = rows();
    const row = all[Math.max(0, Math.min(to, all.length - 1))];
    if (!row) return;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }
  function open(row) {
    (row.querySelector("[data-toggle]") ?? row.querySelector(".name a"))?.click();
  }
  document.addEventListener("click", (event) => {
    if (!plain(event) || event.defaultPrevented || event.target.closest("a, button, input, select, summary, label")) return;
    const row = event.target.closest("tr.row");
    if (row?.closest("[data-rows]") && getSelection()?.isCollapsed !== false) { row.focus({ preventScroll: true }); open(row); }
  });

  let went = 0; // when g was pressed
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "Escape" && typing) {
      typing.blur();
      document.dispatchEvent(new CustomEvent("ui:leave"));
      if (rows().length) move(0);
      return;
    }
    if (typing) return;
    const all = rows();
    const at = all.indexOf(event.target.closest(".row"));
    const act = {
      "/": () => { const field = document.querySelector("[data-focus]"); field?.focus(); field?.select(); },
      "?": () => help.showModal(),
      l: toggleLive,
      t: () => (Date.now() - went < 1200 ? location.assign("/traces") : toggleTheme()),
      s: () => Date.now() - went < 1200 && location.assign("/sessions"),
      f: () => Date.now() - went < 1200 && location.assign("/findings"),
      d: () => Date.now() - went < 1200 && location.assign("/dashboards"),
      g: () => { went = Date.now(); },
    };
    if (all.length) Object.assign(act, { j: () => move(at + 1), k: () => move(at - 1) });
    if (at >= 0 && event.target === all[at]) {
      const toggle = all[at].querySelector("[data-toggle]");
      Object.assign(act, {
        ArrowDown: () => move(at + 1), ArrowUp: () => move(at - 1),
        Home: () => move(0), End: () => move(all.length - 1), Enter: () => open(all[at]),
        ArrowRight: () => toggle?.getAttribute("aria-expanded") === "false" && toggle.click(),
        ArrowLeft: () => toggle?.getAttribute("aria-expanded") === "true" && toggle.click(),
      });
    }
    if (!Object.hasOwn(act, event.key)) return;
    event.preventDefault();
    act[event.key]();
    if (event.key !== "g") went = 0;
  });
})();
