/* Small switches: data-toggle, data-close, data-attr, data-reveal, menus, and where the focus goes. */
const reveal = (root) => root.querySelectorAll?.("[data-reveal][hidden], [data-open][hidden]").forEach((one) => { one.hidden = false; });

/* A script that only some pieces need comes with the first of them. */
const bring = () => document.querySelectorAll("[data-script]").forEach((one) => import(one.dataset.script).catch(() => {})); // without a connection it comes with the next message

let opener = null; // what was focused before a panel took the focus

function close(region) {
  region?.replaceChildren();
  (opener?.isConnected ? opener : document.querySelector("#results [data-current] .open"))?.focus();
}

/* A switch whose label is its present state, "off|on"; a link then leads to its other address. */
function says(one) {
  const states = one.dataset.states.split("|");
  one.textContent = states[1 - states.indexOf(one.textContent.trim())] ?? states[0];
  if (one.dataset.other) setTimeout(() => { [one.href, one.dataset.other] = [one.dataset.other, one.href]; });
}

document.addEventListener("click", (event) => {
  const at = (name) => event.target.closest?.(`[data-${name}]`);
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (!menu.contains(event.target) || event.target.closest(".menu-list button")) menu.open = false;
  });
  let one = at("toggle");
  if (one) {
    event.preventDefault();
    const target = document.getElementById(one.dataset.toggle);
    target.hidden = !target.hidden;
    one.setAttribute("aria-expanded", !target.hidden);
    (target.hidden ? document.querySelector(`[aria-controls="${target.id}"]`) : target.querySelector("input:not([type=hidden]), select, textarea"))?.focus();
  }
  if ((one = at("close"))) close(document.querySelector(one.dataset.close));
  if ((one = at("attr"))) {
    const [selector, name] = one.dataset.attr.split(" ");
    document.querySelector(selector)?.toggleAttribute(name);
  }
  if ((one = at("states"))) says(one);
  if ((one = at("reveal"))) {
    const field = document.getElementById(one.dataset.reveal);
    const isShown = field.type === "text";
    field.type = isShown ? "password" : "text";
    one.setAttribute("aria-pressed", !isShown);
  }
});

document.addEventListener("keydown", (event) => {
  const one = event.target;
  if (event.key === " " && one.getAttribute?.("role") === "button") {
    event.preventDefault();
    one.click();
  }
  const menu = event.key === "Escape" && one.closest?.("details.menu[open]");
  if (menu) {
    event.preventDefault();
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("mw:key", (event) => {
  const region = event.detail === "Esc" && document.querySelector("#case-panel:not(:empty), #action-panel:not(:empty), #notice:not(:empty)");
  if (!region) return;
  event.preventDefault();
  close(region);
});

document.addEventListener("submit", (event) => {
  const here = event.target.querySelector("[data-here]");
  if (here) here.value = location.pathname + location.search;
});

document.addEventListener("htmx:beforeRequest", () => {
  if (!document.activeElement?.closest("#case-panel, #action-panel, #notice")) opener = document.activeElement;
});
document.addEventListener("htmx:afterSettle", (event) => {
  reveal(event.target);
  bring();
  const field = event.target.querySelector?.("[data-focus]");
  if (field && !document.activeElement?.matches("input, textarea, select")) field.focus();
});

/* In a line that scrolls to the side, the browser leaves what is half visible as it is. */
document.addEventListener("focusin", ({ target }) => {
  if (target.closest(".searchbar, .tabs")) target.scrollIntoView({ block: "nearest", inline: "nearest" });
});

reveal(document);
bring();
document.querySelector("[data-focus]")?.focus();
