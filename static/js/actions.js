/* Actions by key on the row under the cursor, before its pane has loaded; undo; the panel that asks first. */
const UNDO = "/investigate/actions/undo-last";
const TWICE = 350; // milliseconds: the same key pressed by mistake once more, on a row nobody has looked at
let undoing = false;
let last = { name: "", at: 0 };
let asked = null; // the panel of a row whose pane is not there yet: {id, html}

const operationKey = () => window.crypto.randomUUID?.() || [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const shownMessage = () => document.querySelector("#detail:not([aria-busy]) > .message");

/* What a key means for this row: the button of its own pane knows best, then the list. */
function meaning(name, row) {
  const pane = shownMessage();
  const button = pane?.dataset.id === row.dataset.id && pane.querySelector(`[data-key="${CSS.escape(name)}"]`);
  if (button) return button.disabled || !button.dataset.act ? null : JSON.parse(button.dataset.act);
  return JSON.parse(document.getElementById("results").dataset.acts)[name];
}

document.addEventListener("mw:key", (event) => {
  if (event.defaultPrevented) return;
  if (event.detail === "z" && document.getElementById("main").querySelector("#results, .message")) {
    event.preventDefault();
    undoing = true;
    window.htmx.ajax("POST", UNDO, { source: "#status", target: "#status", swap: "none" }).catch(() => {}).finally(() => { undoing = false; });
    return;
  }
  const row = document.querySelector("#results tr[data-current]");
  const values = row && meaning(event.detail, row);
  if (!values) return;
  event.preventDefault();
  const isTwice = last.name === event.detail && event.timeStamp - last.at < TWICE;
  last = { name: event.detail, at: event.timeStamp };
  if (isTwice) return;
  if (!navigator.onLine) return notSent(row);
  document.querySelectorAll("#detail details.menu[open]").forEach((menu) => { menu.open = false; });
  window.htmx.ajax("POST", `${row.querySelector(".open").pathname}actions/`, { source: row, values: { ...values, operation_key: operationKey() }, swap: "none" }).catch(() => {});
  if (document.body.dataset.autoAdvance === "on") document.dispatchEvent(new CustomEvent("mw:advance", { detail: row }));
});

/* Nothing waits in the browser: what could not leave was not done, and the cursor goes back to say so. */
function notSent(row) {
  const [notice, text] = [document.createElement("div"), document.createElement("p")];
  notice.className = "notice";
  notice.dataset.kind = "danger";
  notice.setAttribute("role", "alert");
  text.textContent = "Not sent: there is no connection. Nothing was done to this message; act again when it is back.";
  notice.append(text);
  document.getElementById("notice").replaceChildren(notice);
  document.dispatchEvent(new CustomEvent("mw:cursor", { detail: { id: row.dataset.id } }));
}
document.addEventListener("htmx:sendError", ({ detail: { elt, requestConfig } }) => {
  if (requestConfig?.verb === "post" && elt.matches("#results tr[data-id]")) notSent(elt);
});

/* An operation key stands for one decision: once it was answered, the same form means a new one. */
document.addEventListener("htmx:afterRequest", ({ detail: { elt, xhr } }) => {
  const key = elt.querySelector(":scope > [name=operation_key]");
  if (key && xhr && (xhr.status < 300 || xhr.status === 409) && xhr.status) key.value = operationKey();
});

/* What was undone is where the eye has to be. */
document.addEventListener("htmx:oobAfterSwap", (event) => {
  const row = undoing && event.detail.target.closest("#results tr[data-id]");
  if (row) document.dispatchEvent(new CustomEvent("mw:open", { detail: row }));
});

function ask() {
  if (shownMessage()?.dataset.id !== asked?.id) return;
  const { html } = asked;
  asked = null;
  window.htmx.swap("#action-panel", html, { swapStyle: "innerHTML", swapDelay: 0, settleDelay: 0 });
  focusPanel();
}

/* A panel that did its work takes the focus with it: it goes back to the message it was about. */
document.addEventListener("htmx:oobBeforeSwap", ({ detail: { target } }) => {
  const at = document.activeElement;
  if (!["action-panel", "case-panel", "case-notes"].includes(target.id) || !target.hasChildNodes() || at !== document.body && !target.contains(at)) return;
  (document.querySelector("#results [data-current] .open") ?? target.closest("#detail, #main"))?.focus({ preventScroll: true });
});

function focusPanel() {
  const panel = document.getElementById("action-panel");
  (panel?.querySelector("[aria-invalid=true], [type=radio]:checked") ?? panel?.querySelector("textarea, input:not([type=hidden], :disabled), button"))?.focus();
}

/* An answer that asks before it acts belongs to its own message: the cursor goes back there first. */
document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { elt, xhr } = event.detail;
  if (!elt.matches("#results tr[data-id]") || xhr.getResponseHeader("HX-Retarget") !== "#action-panel") return;
  event.preventDefault();
  if (!document.getElementById("detail").checkVisibility()) return location.assign(elt.querySelector(".open").href);
  asked = { id: elt.dataset.id, html: xhr.responseText };
  document.dispatchEvent(new CustomEvent("mw:open", { detail: elt }));
  ask();
});

document.addEventListener("htmx:afterSettle", (event) => {
  if (asked && event.detail.target?.id === "detail") ask();
  else if (event.detail.target?.id === "action-panel") focusPanel();
});
