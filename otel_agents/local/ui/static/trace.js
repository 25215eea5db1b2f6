// The trace page: the tree's keyboard and branches, and the details pane without a reload.
(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const details = $("details");
  const find = $("find");
  const closed = new Set(); // ids of closed branches
  const sections = new Map(); // which sections of the pane the reader opened or closed
  let selected = details.dataset.id;

  const tree = () => $("tree");
  const rows = () => [...tree().tBodies[0].rows];
  const level = (row) => Number(row.getAttribute("aria-level"));
  const rowOf = (id) => rows().find((row) => row.dataset.id === id);
  const shown = () => rows().filter((row) => !row.hidden);
  const url = (id) => `/ui/observation/${tree().dataset.trace}/${encodeURIComponent(id)}`;
  const parse = (text) => new DOMParser().parseFromString(text, "text/html").body;

  // --- which rows show ----------------------------------------------------------------------------
  function arrange() {
    const words = find.value.trim().toLowerCase();
    let below = Infinity; // level of the closed branch that we are in
    const path = [];
    for (const row of rows()) {
      const depth = level(row);
      path.length = depth - 1;
      path[depth - 1] = row;
      if (depth <= below) below = Infinity;
      row.hidden = depth > below;
      const isClosed = closed.has(row.dataset.id);
      if (row.hasAttribute("aria-expanded")) row.setAttribute("aria-expanded", String(!isClosed));
      if (isClosed && below === Infinity) below = depth;
      row.classList.remove("dim");
      if (words) {
        const hit = row.cells[0].textContent.toLowerCase().includes(words) || row.className.includes(`x-${words}`);
        row.hidden = !hit;
        if (hit) for (const above of path) if (above && above !== row && above.hidden) { above.hidden = false; above.classList.add("dim"); }
      }
    }
  }
  find.addEventListener("input", arrange);
  find.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      const first = shown().find((row) => !row.classList.contains("dim"));
      if (first) select(first, { focus: true });
    }
  });
  document.addEventListener("ui:leave", () => rowOf(selected)?.focus());

  function toggle(row, open) {
    if (!row.hasAttribute("aria-expanded")) return;
    if (open ?? closed.has(row.dataset.id)) closed.delete(row.dataset.id); else closed.add(row.dataset.id);
    arrange();
  }

  // --- selection ----------------------------------------------------------------------------------
  function mark() {
    for (const row of rows()) {
      const on = row.dataset.id === selected;
      row.setAttribute("aria-selected", String(on));
      row.tabIndex = on ? 0 : -1;
    }
  }
  let pending;
  let fetching;
  function select(row, { focus = false, later = 0 } = {}) {
    const id = row.dataset.id;
    if (focus) { row.focus({ preventScroll: true }); row.scrollIntoView({ block: "nearest" }); }
    if (id === selected) return;
    selected = id;
    mark();
    history.replaceState(null, "", `${location.pathname}${rest()}#${encodeURIComponent(id)}`);
    clearTimeout(pending);
    pending = setTimeout(() => fetchDetails(id), later);
  }
  const rest = () => (new URLSearchParams(location.search).get("rows") === "all" ? "?rows=all" : "");

  async function fetchDetails(id) {
    if (!row(id)) return;
    fetching?.abort();
    const mine = (fetching = new AbortController());
    details.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(url(id), { signal: mine.signal });
      if (!response.ok) throw new Error(String(response.status));
      fill(parse(await response.text()), id);
    } catch (error) {
      if (error.name === "AbortError") return;
      location.assign(`${location.pathname}?observation=${encodeURIComponent(id)}`);
    } finally {
      if (fetching === mine) details.removeAttribute("aria-busy");
    }
  }
  const row = (id) => { const found = rowOf(id); return found && !found.classList.contains("unattached") ? found : null; };

  let sent = details.innerHTML;
  function fill(body, id) {
    const same = details.dataset.id === id;
    if (same && body.innerHTML === sent) return;
    sent = body.innerHTML;
    const top = details.scrollTop;
    details.replaceChildren(...body.childNodes);
    details.dataset.id = id;
    details.scrollTop = same ? top : 0;
    apply();
  }
  function apply() {
    for (const section of details.querySelectorAll("details[data-sect]")) {
      if (sections.has(section.dataset.sect)) section.open = sections.get(section.dataset.sect);
    }
  }
  details.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy], button[data-full]");
    if (!button) {
      const summary = event.target.closest("summary");
      const section = summary?.parentElement;
      if (section?.dataset.sect && !event.target.closest("a")) sections.set(section.dataset.sect, !section.open);
      return;
    }
    event.preventDefault();
    if (button.dataset.copy) {
      const text = await (await fetch(button.dataset.copy)).text();
      let done = "Copied";
      try { await navigator.clipboard.writeText(text); } catch { done = "The browser does not allow copying here"; }
      $("say").textContent = done;
      button.title = done;
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1200);
      return;
    }
    button.disabled = true;
    const body = parse(await (await fetch(button.dataset.full)).text());
    button.closest("details").querySelector(".body").replaceChildren(...body.childNodes);
    button.remove();
  });

  // --- mouse and keyboard -------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const target = event.target.closest?.("#tree tbody tr");
    if (!target || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    if (event.target.closest(".twisty")) { toggle(target); return; }
    select(target, { focus: true });
    if (matchMedia("(max-width: 1080px)").matches && row(target.dataset.id)) details.scrollIntoView({ block: "start" });
  });
  document.addEventListener("dblclick", (event) => {
    const target = event.target.closest?.("#tree tbody tr");
    if (target && !event.target.closest(".twisty")) toggle(target);
  });

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
    if (event.target.closest("input, select, textarea")) return;
    if (event.key === "Escape" && details.contains(event.target)) { rowOf(selected)?.focus(); event.preventDefault(); return; }
    const inTree = event.target.closest("#tree tbody tr");
    const free = event.target === document.body || event.target.id === "main";
    const all = shown();
    const at = inTree ? all.indexOf(inTree) : all.findIndex((item) => item.dataset.id === selected);
    const step = (to) => {
      const next = all[Math.max(0, Math.min(to, all.length - 1))];
      if (next) select(next, { focus: true, later: 90 });
    };
    const act = {
      j: () => step(at + 1), k: () => step(at - 1),
      e: () => {
        const failed = rows().filter((item) => item.dataset.level === "error");
        const here = rows().findIndex((item) => item.dataset.id === selected);
        const next = failed.find((item) => rows().indexOf(item) > here) ?? failed[0];
        if (!next) { $("say").textContent = "No errors"; return; }
        reveal(next);
        select(next, { focus: true });
      },
    };
    if (inTree || free) Object.assign(act, { ArrowDown: () => step(at + 1), ArrowUp: () => step(at - 1) });
    if (inTree) {
      const isOpen = inTree.getAttribute("aria-expanded");
      Object.assign(act, {
        Home: () => step(0), End: () => step(all.length - 1),
        Enter: () => details.focus(),
        ArrowRight: () => (isOpen === "false" ? toggle(inTree, true) : isOpen === "true" && step(at + 1)),
        ArrowLeft: () => {
          if (isOpen === "true") { toggle(inTree, false); return; }
          for (let above = at - 1; above >= 0; above -= 1) if (level(all[above]) < level(inTree)) { step(above); return; }
        },
      });
    }
    if (!Object.hasOwn(act, event.key)) return;
    event.preventDefault();
    act[event.key]();
  });

  // Opens the branches above a row.
  function reveal(target) {
    let depth = level(target);
    const all = rows();
    for (let at = all.indexOf(target) - 1; at >= 0 && depth > 1; at -= 1) {
      if (level(all[at]) < depth) { closed.delete(all[at].dataset.id); depth = level(all[at]); }
    }
    if (find.value) find.value = "";
    arrange();
  }

  // --- deep links and live refresh ----------------------------------------------------------------
  function follow() {
    let id;
    try { id = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const target = id && (rowOf(id) ?? rowOf(id.replace(/^o-/, "")));
    if (!target) return;
    reveal(target);
    select(target);
    target.scrollIntoView({ block: "nearest" });
  }
  addEventListener("hashchange", follow);
  document.addEventListener("ui:swapped", () => {
    arrange();
    mark();
    if (!selected) { const first = rows().find((item) => row(item.dataset.id)); if (first) select(first); }
    else fetchDetails(selected);
  });
  follow();
  rowOf(selected)?.scrollIntoView({ block: "nearest" });
})();
