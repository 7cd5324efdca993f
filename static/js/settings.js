/* The lists of the settings: a cursor that moves by key, the pane beside it, and what is ticked. Where there is no room
   for the pane, its links are plain links. */
const REST = 120;
let timer = 0;
let [anchor, wanted] = [null, ""];

const $ = (selector) => document.querySelector(selector);
const pane = () => $(".duo > #entry");
const hasPane = () => Boolean(pane()?.checkVisibility());
const rows = () => [...document.querySelectorAll("#entries tr[data-id]")];
const current = () => $("#entries tr[data-current]");
const linkOf = (row) => row.querySelector(".open");
const boxOf = (row) => row?.querySelector(".c-tick input");

function mark(row) {
  rows().forEach((other) => {
    delete other.dataset.current;
    linkOf(other)?.removeAttribute("aria-current");
  });
  row.dataset.current = "";
  linkOf(row)?.setAttribute("aria-current", "true");
}

function open(address, id = "") {
  clearTimeout(timer);
  wanted = id;
  const url = new URL(location.href);
  if (id) url.searchParams.set("open", id);
  else url.searchParams.delete("open");
  history.replaceState(history.state, "", url);
  pane().setAttribute("aria-busy", "true");
  window.htmx.trigger(pane(), "htmx:abort");
  return window.htmx.ajax("GET", address, { source: pane(), target: pane(), swap: "innerHTML" }).catch(() => {}); // overtaken by the next row
}

function moveTo(row, rest = REST) {
  mark(row);
  linkOf(row)?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  clearTimeout(timer);
  if (!hasPane() || !linkOf(row) || wanted === row.dataset.id) return;
  timer = setTimeout(() => open(linkOf(row).href, row.dataset.id), rest);
}

function step(by) {
  const all = rows();
  const next = all[all.indexOf(current()) + by];
  if (next) moveTo(next);
  return true;
}

function enter() {
  const row = current();
  if (!row) return false;
  if (!hasPane()) location.assign(linkOf(row).href);
  else pane().focus();
  return true;
}

function back() {
  const row = current() ?? rows()[0];
  linkOf(row ?? document.body)?.focus();
  return Boolean(row);
}

/* What is ticked is counted on the button that removes it. */
function count() {
  const button = $("#remove-ticked");
  if (!button) return;
  const ticked = document.querySelectorAll("#entries .c-tick :checked").length;
  button.disabled = !ticked;
  if (ticked) delete button.dataset.why;
  else button.dataset.why = button.dataset.idle;
  button.textContent = ticked ? `${button.dataset.many} ${ticked} …` : `${button.dataset.many} ticked …`;
}

function tick(box, isTicked, from = box) {
  if (!box) return false;
  const all = rows().map(boxOf);
  const [first, last] = [all.indexOf(from), all.indexOf(box)].sort((one, other) => one - other);
  all.slice(Math.max(first, 0), last + 1).forEach((one) => { one.checked = isTicked; });
  anchor = box;
  count();
  $("#status").textContent = $("#remove-ticked").disabled ? "Nothing is ticked." : `${document.querySelectorAll("#entries .c-tick :checked").length} ticked.`;
  return true;
}

const all = (isTicked) => tick(boxOf(rows().at(-1)), isTicked, boxOf(rows()[0]));
const KEYS = {
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  Enter: enter, o: enter, u: back, Esc: back,
  x: () => tick(boxOf(current()), !boxOf(current())?.checked), "* a": () => all(true), "* n": () => all(false),
};

document.addEventListener("mw:key", (event) => {
  if (event.defaultPrevented || !rows().length) return;
  if (event.detail.startsWith("Arrow") && document.activeElement?.closest("#entry, nav, details[open]")) return; // there it scrolls
  if (KEYS[event.detail]?.()) event.preventDefault();
});

document.addEventListener("click", (event) => {
  const { target } = event;
  const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.altKey);
  const cursor = target.closest?.("[data-cursor] [data-key]");
  if (cursor) return KEYS[cursor.dataset.key]();
  if (target.matches?.("#entries .c-tick input")) return tick(target, target.checked, event.shiftKey && anchor?.isConnected ? anchor : target);
  const link = target.closest?.("a[data-pane]");
  if (link && isPlain && hasPane()) {
    event.preventDefault();
    return open(link.href, link.closest(".record")?.dataset.id).then(() => pane().querySelector("input:not([type=hidden]), select, textarea")?.focus());
  }
  const row = target.closest?.("#entries tr[data-id]");
  const control = target.closest?.("a, button, input, label");
  if (!row || !isPlain || event.shiftKey || !getSelection().isCollapsed || (control && control !== linkOf(row))) return;
  if (!hasPane()) return control ? undefined : linkOf(row)?.click();
  event.preventDefault();
  moveTo(row, 0);
  if (event.detail === 0) pane().focus(); // Enter on the link, not a pointer
});

/* Fields that say nothing are not part of the address. */
document.addEventListener("htmx:configRequest", ({ detail: { elt, formData } }) => {
  if (!elt.matches("[data-lean]")) return;
  [...formData.keys()].forEach((name) => formData.get(name) || formData.delete(name));
  if (formData.get("per_page") === "100") formData.delete("per_page");
});

document.addEventListener("htmx:afterSettle", ({ detail: { target } }) => {
  if (target?.id === "entry") target.removeAttribute("aria-busy");
  if (target?.id !== "entries") return;
  target.scrollTo(0, 0);
  const row = rows().find((one) => one.dataset.id === wanted);
  if (row) mark(row);
  if (document.activeElement === document.body) target.focus({ preventScroll: true });
  count();
});

/* A form in the pane changed the list. */
document.addEventListener("settings-saved", ({ detail }) => {
  const told = () => { $("#status").textContent = detail.told ?? ""; }; // the rows have said how many they are
  if ($("#entries")) window.htmx.ajax("GET", location.href, { source: "#entries", target: "#entries", swap: "innerHTML" }).then(told).catch(() => {});
});

["htmx:responseError", "htmx:sendError", "htmx:timeout"].forEach((name) => document.addEventListener(name, ({ detail }) => {
  if (detail.target?.id === "entry") {
    detail.target.removeAttribute("aria-busy");
    wanted = "";
  }
}));

wanted = new URLSearchParams(location.search).get("open") ?? "";
const shown = rows().find((one) => one.dataset.id === wanted);
if (shown) mark(shown);
count();
