/* Ticked rows: the checkboxes are the selection. While there is one, the keys of actions begin a rehearsal of it. */
const $ = (selector) => document.querySelector(selector);
const boxes = () => [...document.querySelectorAll("#rows .c-tick input")];
const boxOf = (row) => row?.querySelector(".c-tick input");
const current = () => boxOf($("#results [data-current]") ?? document.activeElement.closest("#results [data-id]"));
const say = (text) => { $("#status").textContent = text; };
let last = null; // Shift-click goes on from there
let [anchor, edge] = [null, null]; // where Shift+J and Shift+K began, and how far they came
let kept = []; // what was ticked before everything was

function update() {
  if (!$("#selection")) return;
  const [all, acts, head] = [boxes(), $("#selection fieldset"), $("#tick-all")];
  if ($("#everything").checked) all.forEach((box) => { box.checked = true; });
  const ticked = all.filter((box) => box.checked).length;
  head.checked = ticked && ticked === all.length;
  head.indeterminate = ticked && !head.checked;
  $("#loaded").textContent = all.length;
  $("#selected").textContent = ticked ? `${ticked} selected` : "Nothing ticked";
  acts.disabled = !ticked;
  acts.querySelectorAll("[data-many]").forEach((one) => { // in the palette while they mean something
    if (ticked) [one.dataset.key, one.dataset.keyLabel] = [one.dataset.many, `Selected: ${one.closest("details")?.firstChild.textContent.slice(0, -1) ?? ""} ${one.firstChild.textContent}`];
    else delete one.dataset.key;
  });
}

function changed() {
  const isFirst = $("#selection fieldset").disabled;
  update();
  const taken = $($("#everything").checked ? "#taken" : "#selected").textContent;
  say(`${taken}.${isFirst ? " Keys of actions now rehearse the selection." : ""}`);
}

function tick(isTicked, box, from = box) {
  const all = boxes();
  const [first, end] = [all.indexOf(from), all.indexOf(box)].sort((one, other) => one - other);
  all.slice(first, end + 1).forEach((one) => { one.checked = isTicked; });
  $("#everything").checked = false;
  last = box;
  changed();
}

const tickAll = (isTicked) => tick(isTicked, boxes()[0] ?? null, boxes().at(-1));

/* Going away from where it began ticks; coming back takes the ticks away again. */
function extend(key) {
  const from = current();
  if (from !== edge) anchor = from;
  document.dispatchEvent(new CustomEvent("mw:perform", { detail: key }));
  const to = current();
  if (!to) return;
  const all = boxes();
  const distance = (box) => Math.abs(all.indexOf(box) - all.indexOf(anchor));
  if (from && distance(to) < distance(from)) tick(false, from);
  else tick(true, to, from ?? to);
  edge = to;
}

const KEYS = {
  x: () => (current() ? tick(!current().checked, current()) : say("Put the cursor on a message first: j.")),
  "Shift+J": () => extend("j"), "Shift+K": () => extend("k"),
  "* a": () => tickAll(true), "* n": () => $("#selection").reset(),
  "* l": () => ($("#everything").checked ? changed() : $("#everything").click()),
};

function act(name) {
  const { kind, ...value } = JSON.parse($("#results").dataset.acts)[name] ?? {};
  const one = $(`#selection ${kind ? `[value="${kind}:${Object.values(value)}"]` : `summary[data-many="${CSS.escape(name)}"]`}`);
  if (one?.disabled) say(one.dataset.why);
  else one?.click();
  return one;
}

document.addEventListener("mw:key", (event) => {
  if (event.defaultPrevented || !$("#selection")) return;
  const own = KEYS[event.detail];
  if (!own && ($("#selection fieldset").disabled || !act(event.detail))) return;
  event.preventDefault();
  own?.();
});

document.addEventListener("click", ({ target, shiftKey }) => {
  if (target.matches(".c-tick input")) tick(target.checked, target, shiftKey && last?.isConnected ? last : target);
});
document.addEventListener("mousedown", (event) => {
  if (event.shiftKey && event.target.matches(".c-tick input")) event.preventDefault(); // it would mark text
});
document.addEventListener("change", ({ target }) => {
  if (target.id === "tick-all") tickAll(target.checked);
  if (target.id !== "everything") return;
  if (target.checked) kept = boxes().filter((box) => box.checked);
  else boxes().forEach((box) => { box.checked = kept.includes(box); });
  changed();
});
document.addEventListener("reset", ({ target }) => target.id === "selection" && setTimeout(changed));

/* One field for all rows: the number of fields has a limit. */
document.addEventListener("htmx:configRequest", ({ detail: { elt, formData } }) => {
  if (elt.id !== "selection") return;
  formData.set("ids", formData.getAll("message").join("\n"));
  formData.delete("message");
});
["htmx:afterSettle", "htmx:historyRestore"].forEach((name) => document.addEventListener(name, update));
update();
