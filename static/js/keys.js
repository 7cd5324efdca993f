/* Keys: what is pressed becomes a name ("d", "Shift+R", "g i"), and the name an event "mw:key" that other scripts may
   answer by preventing its default. Nobody answered: the element with that data-key is clicked, or focused if it takes
   text. "mw:perform" does the same for a name that was not typed but chosen. */
const SEQUENCE = 1200;
const PREFIXES = new Set(["g", "y", "c", "t", "v", ".", "*"]);
const REPEATS = new Set(["j", "k", "Shift+J", "Shift+K", "ArrowDown", "ArrowUp"]); // a held key moves; it never acts again and again
const BUTTONS = new Set(["Enter", " ", "ArrowLeft", "ArrowRight"]);
let prefix = "";
let timer = 0;
let early = null; // a key meant for a message whose pane is not there yet: {name, id}; it acts once, on that message

function nameOf(event) {
  const { key } = event;
  if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "k") return "Ctrl+K";
  if (event.ctrlKey || event.metaKey || event.altKey) return "";
  if (key === "Escape") return "Esc";
  if (key.length > 1) return event.shiftKey ? `Shift+${key}` : key;
  return event.shiftKey && /\p{L}/u.test(key) ? `Shift+${key.toUpperCase()}` : key.toLowerCase();
}

function use(element) {
  const why = element.dataset.why;
  if (element.disabled || why) document.getElementById("status").textContent = why || "This does not work here.";
  else if (element.matches("input, select, textarea")) {
    element.focus();
    element.select?.();
  } else element.click();
}

const current = () => document.querySelector("#results tr[data-current]")?.dataset.id;

function perform(name) {
  early = null;
  if (!document.dispatchEvent(new CustomEvent("mw:key", { detail: name, cancelable: true }))) return true;
  const all = [...document.querySelectorAll(`[data-key="${CSS.escape(name)}"]`)];
  const element = all.find((one) => one.checkVisibility()) || all.find((one) => one.closest("details:not([open])"));
  if (element?.closest("#detail[aria-busy]")) early = { name, id: current() }; // what is there still shows the message before
  else if (element) use(element);
  return Boolean(element);
}

document.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (!early || detail.target?.id !== "detail" || detail.target.hasAttribute("aria-busy")) return;
  if (early.id === current()) perform(early.name);
  else early = null;
});
document.addEventListener("mw:perform", (event) => perform(event.detail));

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const name = nameOf(event);
  if (!name || /^(Shift\+)?(Shift|Control|Alt|Meta|AltGraph)$/.test(name)) return;
  const field = event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
  if (field && name === "Esc") return field.blur();
  if (document.querySelector("dialog[open]") || (field && name !== "Ctrl+K")) return;
  if (event.key.length === 1 && name !== "Ctrl+K" && document.body.dataset.singleKeys === "off") return;
  if (BUTTONS.has(name) && event.target.closest?.("a, button, summary, input, [role=button]")) return;
  if (event.repeat && !REPEATS.has(name)) return;
  clearTimeout(timer);
  const sequence = prefix && `${prefix} ${name}`;
  prefix = "";
  let isDone = sequence && perform(sequence);
  if (sequence && !isDone && event.key.length === 1) { // its last key alone may mean something else altogether
    document.getElementById("status").textContent = `There is no ${sequence} here.`;
    isDone = true;
  }
  if (!isDone) {
    isDone = perform(name);
    if (PREFIXES.has(name)) {
      prefix = name;
      timer = setTimeout(() => { prefix = ""; }, SEQUENCE);
      isDone = true;
    }
  }
  if (isDone) event.preventDefault();
});
