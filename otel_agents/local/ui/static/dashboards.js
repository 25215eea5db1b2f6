// What a pointer does on /dashboards: the values at a moment, in all graphs at once, and one series alone.
// Everything that is shown was written by the server; this file builds text nodes only.
(() => {
  "use strict";
  const parsed = new WeakMap();
  const data = (chart) => {
    if (!parsed.has(chart)) parsed.set(chart, JSON.parse(chart.dataset.chart));
    return parsed.get(chart);
  };
  const charts = () => document.querySelectorAll(".chart");

  function nearest(moments, at) {
    let best = 0;
    for (let i = 1; i < moments.length; i++) if (Math.abs(moments[i] - at) < Math.abs(moments[best] - at)) best = i;
    return best;
  }

  function point(share, over) {
    for (const chart of charts()) {
      const line = chart.querySelector(".here");
      const { x } = data(chart);
      const at = x[nearest(x, share)];
      line.setAttribute("d", `M${at * 1000} 0V100`);
      line.removeAttribute("hidden");
      if (chart !== over) chart.querySelector(".tip").hidden = true;
    }
    tell(over, share);
  }

  function tell(chart, share) {
    const { x, t, s } = data(chart);
    const at = nearest(x, share);
    const tip = chart.querySelector(".tip");
    const when = document.createElement("p");
    when.textContent = t[at];
    const list = document.createElement("ul");
    for (const button of chart.querySelectorAll(".legend [data-series]")) {
      const text = s[Number(button.dataset.series)][at];
      if (text === "" || (chart.classList.contains("alone") && !button.classList.contains("on"))) continue;
      const item = document.createElement("li");
      item.className = [...button.classList].find((name) => /^c\d$/.test(name)) ?? "";
      const name = document.createElement("span");
      name.className = "cut";
      name.textContent = button.textContent;
      const value = document.createElement("b");
      value.textContent = text;
      item.append(name, value);
      list.append(item);
    }
    tip.replaceChildren(when, list);
    tip.hidden = false;
    const width = chart.querySelector(".plot").clientWidth;
    const left = x[at] * width;
    tip.style.left = `${Math.max(0, left + 14 + tip.offsetWidth > width ? left - 14 - tip.offsetWidth : left + 14)}px`;
  }

  function clear() {
    for (const chart of charts()) {
      chart.querySelector(".here").setAttribute("hidden", "");
      chart.querySelector(".tip").hidden = true;
    }
  }

  document.addEventListener("pointermove", (event) => {
    const plot = event.target.closest?.(".plot");
    if (!plot) return;
    const box = plot.getBoundingClientRect();
    point((event.clientX - box.left) / box.width, plot.closest(".chart"));
  });
  document.addEventListener("pointerout", (event) => {
    if (event.target.closest?.(".plot") && !event.relatedTarget?.closest?.(".plot")) clear();
  });

  // A name in a legend: that series alone, again: all of them. Kept over a refresh by name.
  const alone = new Map();
  function isolate(chart, name) {
    chart.classList.toggle("alone", name !== undefined);
    for (const button of chart.querySelectorAll(".legend [data-series]")) {
      const on = button.textContent === name;
      button.setAttribute("aria-pressed", String(on));
      for (const one of chart.querySelectorAll(`[data-series="${button.dataset.series}"]`)) one.classList.toggle("on", on);
    }
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".legend [data-series]");
    if (button) {
      const chart = button.closest(".chart");
      const id = chart.closest(".panel").id;
      if (alone.get(id) === button.textContent) alone.delete(id); else alone.set(id, button.textContent);
      isolate(chart, alone.get(id));
      return;
    }
    for (const open of document.querySelectorAll(".pick[open]")) if (!open.contains(event.target)) open.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && event.target.closest?.(".pick[open]");
    if (open) { open.open = false; open.querySelector("summary").focus(); event.stopPropagation(); }
  }, true);
  document.addEventListener("ui:swapped", () => {
    // Prometheus is there again, for a page that was made without it.
    if (!document.getElementById("missing") && !document.querySelector(".panel")) location.reload();
    for (const [id, name] of alone) {
      const chart = document.querySelector(`#${id} .chart`);
      if (chart) isolate(chart, name);
    }
  });
})();
