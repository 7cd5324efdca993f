/* The desk's line: notes are sent with Ctrl Enter, @names complete themselves, and the next case opens when one is done. */
const sends = (field) => field?.matches?.("textarea[data-sends]");

document.addEventListener("keydown", (event) => {
  if (!sends(event.target)) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    event.target.form.requestSubmit();
  } else if (names(event.target)?.hidden === false) choose(event);
  else if (event.key === "Escape") {
    event.preventDefault();
    (document.querySelector("#results [data-current] .open") ?? document.querySelector("[aria-controls=case-notes]"))?.focus();
  }
}, true); // before the keys of the page, which would leave the field

/* --- drafts: what is typed stays with its message for as long as this page does, until it is saved --- */
const drafts = new Map(); // by the address of the form
const leaving = new Set(); // on their way to the server, which has the last word on them

function keep(field) {
  if (sends(field)) drafts.set(field.form.getAttribute("action"), field.value);
}
keep(document.activeElement); // somebody may have been faster than this script
document.addEventListener("input", ({ target }) => keep(target));

function restore() {
  const field = document.querySelector("#case-notes textarea[data-sends]");
  const address = field?.form.getAttribute("action");
  const draft = drafts.get(address);
  if (!draft || leaving.has(address) || field.value) return;
  field.value = draft;
  document.getElementById("case-notes").hidden = false;
  document.querySelector("[aria-controls=case-notes]")?.setAttribute("aria-expanded", true);
}

document.addEventListener("htmx:beforeRequest", ({ detail: { requestConfig } }) => {
  if (requestConfig.verb === "post" && drafts.has(requestConfig.path)) leaving.add(requestConfig.path);
});
document.addEventListener("htmx:afterRequest", ({ detail: { successful, requestConfig } }) => {
  if (!leaving.delete(requestConfig?.path)) return;
  if (successful) drafts.delete(requestConfig.path);
  else restore();
});
document.addEventListener("htmx:oobAfterSwap", ({ detail }) => detail.target.id === "case-notes" && restore());

/* --- names --- */
const AT = /(^|[^\w@.])@([\w.+-]*)$/;
const names = (field) => field.parentElement.querySelector(".names");

function listFor(field) {
  let list = names(field);
  if (list) return list;
  list = document.createElement("ul");
  list.className = "names";
  list.id = `${field.id}-names`;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Colleagues");
  field.setAttribute("aria-controls", list.id);
  field.setAttribute("aria-autocomplete", "list");
  field.after(list);
  return list;
}

function offer(field) {
  const typed = AT.exec(field.value.slice(0, field.selectionStart))?.[2].toLowerCase();
  const found = typed === undefined ? [] : field.dataset.names.split(" ").filter((name) => name && name.toLowerCase().startsWith(typed)).slice(0, 6);
  const list = listFor(field);
  list.hidden = !found.length || (found.length === 1 && found[0].toLowerCase() === typed);
  list.replaceChildren(...found.map((name, number) => {
    const one = document.createElement("li");
    one.id = `${list.id}-${number}`;
    one.setAttribute("role", "option");
    one.textContent = `@${name}`;
    return one;
  }));
  if (!list.hidden) point(field, 0);
}

function point(field, number) {
  [...names(field).children].forEach((one, at) => one.setAttribute("aria-selected", at === number));
  field.setAttribute("aria-activedescendant", `${names(field).id}-${number}`);
}

function insert(field, option) {
  const end = field.selectionStart;
  const start = field.value.slice(0, end).lastIndexOf("@");
  field.setRangeText(`${option.textContent} `, start, end, "end");
  keep(field);
  names(field).hidden = true;
  field.removeAttribute("aria-activedescendant");
}

function choose(event) {
  const field = event.target;
  const options = [...names(field).children];
  const at = options.findIndex((one) => one.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") point(field, (at + (event.key === "ArrowDown" ? 1 : -1) + options.length) % options.length);
  else if (event.key === "Enter" || event.key === "Tab") insert(field, options[at]);
  else if (event.key === "Escape") names(field).hidden = true;
  else return;
  event.preventDefault();
}

document.addEventListener("input", ({ target }) => sends(target) && offer(target));
document.addEventListener("mousedown", (event) => {
  const option = event.target.closest?.(".names [role=option]");
  if (!option) return;
  event.preventDefault(); // the field keeps the focus
  insert(option.closest(".field").querySelector("textarea"), option);
});

/* --- panels --- */
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (detail.target?.id === "detail") restore();
  if (detail.target?.id !== "case-panel") return;
  (detail.target.querySelector("[data-focus]") ?? detail.target.querySelector("textarea, select, button"))?.focus();
});

/* --- the next one: a row of this list where it is here, else its own address --- */
document.addEventListener("mw:done", ({ detail: { done, next, url } }) => {
  const row = (id) => id && document.querySelector(`#rows tr[data-id="${CSS.escape(id)}"]`);
  row(done)?.setAttribute("data-acted", "");
  if (row(next)) document.dispatchEvent(new CustomEvent("mw:open", { detail: row(next) }));
  else if (url && next) location.assign(url);
  else if (!url && row(done)) document.dispatchEvent(new CustomEvent("mw:advance", { detail: row(done) }));
});
