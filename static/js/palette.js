/* Ctrl K: everything that can be done here, by name and with its key. "?" opens the same list, to learn the keys. */
const OF_THE_LIST = {
  j: "Next message", k: "Previous message", Enter: "Focus the message", u: "Back to the list", r: "Search again", "\\": "Next split of the screen", f: "Filter for this sender's domain",
  z: "Undo the last waiting action", d: "Move to trash", "!": "Move to Junk", i: "Move to Inbox", "Shift+R": "Release",
};
const OF_TICKS = { x: "Tick this message", "Shift+J": "Tick downwards", "Shift+K": "Tick upwards", "* a": "Tick all loaded", "* n": "Tick none", "* l": "Take everything this search finds" };
const OF_A_MESSAGE = { l: "Next tab", h: "Previous tab", "y d": "Copy the sender's domain, defanged" };
const FOUND = "main [data-key], #views a, .message [role=tab], .topbar :is([data-key], [data-key-label], nav a, .menu-list :is(a, button))";
let back = null;

function make(name, attributes, ...children) {
  const element = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  element.append(...children);
  return element;
}

const field = make("input", { type: "search", role: "combobox", "aria-label": "Command", "aria-expanded": "true", "aria-controls": "commands", autocomplete: "off", placeholder: "Type a command" });
const list = make("ul", { id: "commands", role: "listbox", "aria-label": "Commands" });
const foot = make("p", { class: "foot" }, "Enter does it, Esc closes. Keys never act in a text field; single keys can be turned off in Preferences.");
const dialog = make("dialog", { "aria-label": "Commands and keys" }, field, list, foot);
document.body.append(dialog);

function labelOf(element) {
  const copy = element.cloneNode(true);
  copy.querySelectorAll("kbd").forEach((key) => key.remove());
  return element.dataset.keyLabel || copy.textContent.replace(/\s+/g, " ").trim();
}

/* What can be done, by key or by name: [label, key, element], each once. */
function commands() {
  const all = new Map();
  const add = (label, key, element) => all.has(key || label) || all.set(key || label, [label, key, element]);
  const found = [...document.querySelectorAll(FOUND)].filter((one) => one.checkVisibility() || one.closest("details:not([open]), .topbar"));
  const [frame, here] = [found.filter((one) => one.closest(".topbar")), found.filter((one) => !one.closest(".topbar"))];
  here.forEach((one) => add(labelOf(one), one.dataset.key, one));
  if (document.querySelector("#results tr[data-id]")) Object.entries(OF_THE_LIST).forEach(([key, label]) => add(label, key));
  if (document.querySelector("#rows .c-tick")) Object.entries(OF_TICKS).forEach(([key, label]) => add(label, key));
  if (document.querySelector(".message [role=tab]")) Object.entries(OF_A_MESSAGE).forEach(([key, label]) => add(label, key));
  frame.forEach((one) => add(labelOf(one), one.dataset.key, one));
  return [...all.values()];
}

function choose(item) {
  list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
  item?.setAttribute("aria-selected", "true");
  item?.scrollIntoView({ block: "nearest" });
  field.setAttribute("aria-activedescendant", item?.id ?? "");
}

function fill() {
  const words = field.value.toLowerCase().split(/\s+/);
  const items = commands().filter(([label]) => words.every((word) => label.toLowerCase().includes(word)));
  list.replaceChildren(...items.map(([label, key, element], index) => {
    const why = element?.disabled && (element.dataset.why || "does not work here");
    const item = make("li", { id: `command-${index}`, role: "option", "aria-selected": "false", "aria-disabled": Boolean(why) }, why ? `${label}: ${why}` : label);
    if (key) item.append(make("kbd", {}, key.replace("+", " ")));
    item.run = () => (key ? document.dispatchEvent(new CustomEvent("mw:perform", { detail: key })) : element.click());
    return item;
  }));
  choose(list.firstElementChild);
}

function open() {
  back = document.activeElement;
  field.value = "";
  fill();
  dialog.showModal();
}

function run(item) {
  if (!item) return;
  dialog.close();
  item.run();
}

field.addEventListener("input", fill);
list.addEventListener("click", (event) => run(event.target.closest("li")));
dialog.addEventListener("close", () => back?.isConnected && back.focus());
dialog.addEventListener("keydown", (event) => {
  const at = list.querySelector("[aria-selected=true]");
  if (event.key === "Enter") run(at);
  else if (event.key === "ArrowDown") choose(at?.nextElementSibling ?? list.firstElementChild);
  else if (event.key === "ArrowUp") choose(at?.previousElementSibling ?? list.lastElementChild);
  else return;
  event.preventDefault();
});
document.addEventListener("click", (event) => event.target.closest?.("[data-open]") && open());
document.addEventListener("mw:key", (event) => {
  if (event.defaultPrevented || !["Ctrl+K", "?"].includes(event.detail)) return;
  event.preventDefault();
  open();
});
