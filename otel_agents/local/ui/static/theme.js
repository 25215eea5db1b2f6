// Runs before the first paint, so that a chosen theme does not flash. Nothing chosen: the system decides.
(() => {
  try {
    const chosen = localStorage.getItem("otel-agents-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch { /* storage is off */ }
})();
