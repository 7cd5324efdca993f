/* The cursor of the list and the pane beside it. The cursor moves at once; the pane follows when it has rested, one
   request at a time, and an older answer never overtakes a newer one. Without the pane a row is a link. */
const REST = 120;
const SPLITS = ["60", "40", "list", "detail"];
let timer = 0;
let wanted = "";
let lastBefore = null;

const pane = () => document.getElementById("detail");
const hasPane = () => Boolean(pane()?.checkVisibility());
const rows = () => [...document.querySelectorAll("#results tr[data-id]")];
const current = () => document.querySelector("#results tr[data-current]");
const linkOf = (row) => row.querySelector(".open");

function mark(row) {
  document.querySelectorAll("#results tr[data-current]").forEach((other) => {
    delete other.dataset.current;
    linkOf(other)?.removeAttribute("aria-current");
  });
  row.dataset.current = "";
  linkOf(row)?.setAttribute("aria-current", "true");
}

function load(row) {
  if (!hasPane()) return;
  const detail = pane();
  const url = new URL(location.href);
  url.searchParams.set("open", row.dataset.id);
  url.searchParams.delete("tab");
  history.replaceState(history.state, "", url);
  window.htmx.ajax("GET", linkOf(row).dataset.pane || `${linkOf(row).pathname}pane`, { source: detail, target: detail, swap: "innerHTML" }).catch(() => {}); // overtaken by the next row
}

function moveTo(row, { rest = REST, focus = true } = {}) {
  mark(row);
  if (focus) linkOf(row)?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  clearTimeout(timer);
  wanted = row.dataset.id;
  const shown = pane()?.querySelector(".message")?.dataset.id;
  if (shown === wanted && !pane().hasAttribute("aria-busy")) return;
  if (pane()) {
    window.htmx.trigger(pane(), "htmx:abort");
    pane().setAttribute("aria-busy", "true");
  }
  timer = setTimeout(load, rest, row);
}

function step(by) {
  const all = rows();
  const next = all[all.indexOf(current()) + by];
  if (next) moveTo(next);
  else if (by > 0) document.getElementById("load-more")?.click();
  return true;
}

function openCurrent() {
  const row = current();
  if (!row) return false;
  if (hasPane()) pane().focus();
  else location.assign(linkOf(row).href);
  return true;
}

function backToList() {
  const row = current();
  if (!row || !row.checkVisibility()) return false;
  linkOf(row)?.focus();
  return true;
}

function nextSplit() {
  const split = document.querySelector(".split");
  if (!split) return false;
  split.dataset.split = SPLITS[(SPLITS.indexOf(split.dataset.split) + 1) % SPLITS.length];
  localStorage.setItem("split", split.dataset.split);
  return true;
}

/* Only mail from this sender's domain: the filter line says so, and searches. */
function filterForSender() {
  const row = current() || document.activeElement?.closest("#results tr[data-id]");
  const domain = row?.querySelector(".c-from > b")?.textContent;
  const line = document.getElementById("filter-line");
  if (!domain || !line) return false;
  const others = line.value.replace(/(^|\s)(from|sender):("(?:[^"\\]|\\.)*"|\S+)/gi, "").trim();
  line.value = `${others} from:${domain}`.trim();
  line.form.requestSubmit();
  return true;
}

const KEYS = {
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  o: openCurrent, Enter: openCurrent, u: backToList, Esc: backToList, f: filterForSender, "\\": nextSplit,
};

document.addEventListener("mw:key", (event) => {
  const isArrow = event.detail.startsWith("Arrow");
  if (isArrow && document.activeElement?.closest("#detail, [role=tablist], details[open]")) return; // there it scrolls
  if (!event.defaultPrevented && document.getElementById("results") && KEYS[event.detail]?.()) event.preventDefault();
});

document.addEventListener("click", (event) => {
  const row = event.target.closest?.("#results tr[data-id]");
  const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!row || !isPlain || !getSelection().isCollapsed) return;
  const control = event.target.closest("a, button, input, label, summary");
  if (control && control !== linkOf(row)) return;
  if (!hasPane()) {
    if (!control) location.assign(linkOf(row).href);
    return;
  }
  event.preventDefault();
  moveTo(row, { rest: 0 });
  if (event.detail === 0) pane().focus(); // Enter on the link, not a pointer
});

document.addEventListener("mw:open", (event) => moveTo(event.detail, { rest: 0 }));
document.addEventListener("mw:advance", (event) => {
  const all = rows();
  const next = all[all.indexOf(event.detail) + 1];
  if (next && event.detail === current()) moveTo(next);
});
/* The server names the row to return to: HX-Trigger {"mw:cursor": {"id": ...}}. */
document.addEventListener("mw:cursor", (event) => {
  const row = rows().find((one) => one.dataset.id === event.detail.id);
  if (row) moveTo(row);
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt.id === "load-more") lastBefore = rows().at(-1);
});

document.addEventListener("htmx:afterSettle", (event) => {
  if (lastBefore) {
    const all = rows();
    const first = all[all.indexOf(lastBefore) + 1];
    if (first) {
      lastBefore = null;
      moveTo(first);
    }
  }
  if (event.detail.target?.id === "results" && !current()) {
    const row = rows().find((one) => one.dataset.id === wanted);
    if (row) mark(row);
    if (row && document.activeElement === document.body) linkOf(row)?.focus({ preventScroll: true });
  }
});

/* Only once it has settled: before that its forms are plain ones, and a key would leave the list. */
document.addEventListener("htmx:afterSettle", (event) => {
  const { target } = event.detail;
  if (target?.id !== "detail") return;
  const shown = target.querySelector(".message");
  if (!shown || shown.dataset.id === wanted) target.removeAttribute("aria-busy");
});

/* The pane never keeps showing one message while the cursor is on another. */
function failed(event) {
  const detail = pane();
  if (event.detail.elt !== detail || event.detail.target === detail && event.detail.xhr?.status) return;
  const text = document.createElement("p");
  text.className = "empty";
  text.textContent = navigator.onLine ? "This message could not be opened: no answer came. " : "There is no connection. The message opens when it is back. ";
  const again = document.createElement("button");
  again.type = "button";
  again.textContent = "Retry";
  again.dataset.reopen = "";
  text.append(again);
  detail.replaceChildren(text);
  detail.removeAttribute("aria-busy");
}
function reopen() {
  const row = current();
  if (row && pane()?.querySelector("[data-reopen]")) load(row);
}
document.addEventListener("click", (event) => event.target.closest?.("[data-reopen]") && reopen());
addEventListener("online", reopen);
["htmx:responseError", "htmx:sendError", "htmx:timeout"].forEach((name) => document.addEventListener(name, failed));

const remembered = localStorage.getItem("split");
const split = document.querySelector(".split");
if (split && SPLITS.includes(remembered)) split.dataset.split = remembered;
wanted = current()?.dataset.id || new URLSearchParams(location.search).get("open") || "";
