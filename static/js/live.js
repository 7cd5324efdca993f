/* What colleagues do. #live asks every 5 s what changed since; only those of the messages named that this page shows
   are asked for. The question also says which message is open, so that others see who looks at it. */
const shownIds = () => new Set([...document.querySelectorAll("#rows [data-id], .message[data-id]")].map((one) => one.dataset.id));
const opened = () => document.querySelector("#detail:not([aria-busy]) .message")?.dataset.id ?? "";
const here = () => document.querySelector("[id^=here-]")?.textContent.trim() ?? "";

document.addEventListener("htmx:configRequest", ({ detail: { elt, parameters } }) => {
  if (elt.id !== "live") return;
  parameters.open = opened();
  parameters.here = here();
});

document.addEventListener("htmx:load", ({ detail: { elt } }) => {
  if (elt.id !== "live" || !elt.dataset.changed) return;
  const shown = shownIds();
  const changed = elt.dataset.changed === "*" ? [...shown] : elt.dataset.changed.split("\n").filter((id) => shown.has(id));
  delete elt.dataset.changed;
  for (let start = 0; start < changed.length; start += 100) {
    window.htmx.ajax("GET", "/investigate/live/cells", { source: elt, swap: "none", values: { id: changed.slice(start, start + 100), open: opened() } }).catch(() => {});
  }
});

/* Nobody's words, and no open menu, are taken from under their hands by what a colleague did. */
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.id === "case-bar" && detail.requestConfig.verb === "get" && detail.target.querySelector("details[open]")) detail.shouldSwap = false;
});
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  if (event.detail.target.contains(document.activeElement) && document.activeElement.matches("textarea, select, input")) event.detail.shouldSwap = false;
});
