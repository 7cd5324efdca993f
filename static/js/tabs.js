/* Tabs of a message. A tab's panel loads itself when its tab is first clicked; this shows it. */
const tabs = () => [...document.querySelectorAll(".message [role=tab]")].filter((tab) => tab.checkVisibility());
const chosen = () => tabs().findIndex((tab) => tab.getAttribute("aria-selected") === "true");

function show(tab) {
  tab.closest("[role=tablist]").querySelectorAll("[role=tab]").forEach((other) => {
    const isChosen = other === tab;
    other.setAttribute("aria-selected", isChosen);
    other.tabIndex = isChosen ? 0 : -1;
    const panel = document.getElementById(other.getAttribute("aria-controls"));
    if (panel) panel.hidden = !isChosen;
  });
  tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  const url = new URL(location.href);
  url.searchParams.set("tab", tab.dataset.tab);
  history.replaceState(history.state, "", url);
}

function go(index) {
  const all = tabs();
  if (!all.length) return false;
  all[(index + all.length) % all.length].click();
  return true;
}

document.addEventListener("click", (event) => {
  const tab = event.target.closest?.("[role=tab]");
  if (!tab || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(tab);
});

document.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || event.target.getAttribute?.("role") !== "tab") return;
  event.preventDefault();
  go(chosen() + by);
  tabs()[chosen()].focus();
});

document.addEventListener("mw:key", (event) => {
  if (event.defaultPrevented) return;
  const name = event.detail;
  const digit = /^(?:\. )?([1-9])$/.exec(name);
  const isHere = name.length > 1 || !document.getElementById("results") || document.activeElement?.closest("#detail");
  let isDone = false;
  if (name === "h" || name === "l") isDone = chosen() >= 0 && go(chosen() + (name === "l" ? 1 : -1));
  else if (digit && isHere && tabs()[digit[1] - 1]) isDone = go(digit[1] - 1);
  if (isDone) event.preventDefault();
});

/* A reason leads to its evidence: the tab that holds it, then the element there, once it has loaded. */
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-jump]");
  const tab = link && document.getElementById(`tab-${link.dataset.jump}`);
  if (!tab || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const reach = () => {
    const there = document.getElementById(link.dataset.anchor);
    there?.focus();
    there?.scrollIntoView({ block: "nearest" });
    return Boolean(there);
  };
  const panel = document.getElementById(tab.getAttribute("aria-controls"));
  tab.click();
  if (!reach()) panel.addEventListener("htmx:afterSettle", reach, { once: true });
});
