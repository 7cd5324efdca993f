/* What every request of htmx gets: the CSRF token, a rest while nobody looks, other tries after a failure.

   A request nobody asked for by hand is a poll: it has no event. Polls do not leave while the tab is hidden; each is
   sent once when it is looked at again. A poll that fails is tried again after 5, 15 and 60 s, and then no more. */
const RETRIES = [5, 15, 60];
const resting = new Set(); // polls to send when the tab is looked at, or the connection is back
const failures = new WeakMap();
const banner = document.getElementById("offline");

const isPoll = ({ elt, verb, path, triggeringEvent }) => verb === "get" && !triggeringEvent && path === elt.getAttribute("hx-get");

function send(element) {
  const isOvertaken = element.id === "detail" && element.querySelector(".message"); // another message was opened
  if (element.isConnected && !isOvertaken) window.htmx.ajax("GET", element.getAttribute("hx-get"), { source: element });
}

function wake() {
  if (document.hidden) return;
  const waiting = [...resting];
  resting.clear();
  waiting.forEach(send);
}

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = document.querySelector("meta[name=csrf]").content;
});

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, requestConfig } = event.detail;
  if (requestConfig.verb === "post" && !elt.matches("[data-stays]")) document.getElementById("notice").replaceChildren(); // it told of the last act
  if (!document.hidden || !isPoll(requestConfig)) return;
  event.preventDefault();
  resting.add(elt);
});

document.addEventListener("htmx:afterRequest", ({ detail: { elt, xhr, requestConfig } }) => {
  if (!requestConfig || !isPoll(requestConfig)) return;
  const { status } = xhr;
  if (status && status < 500 && status !== 429) return failures.delete(elt);
  const tries = failures.get(elt) ?? 0;
  if (!status) resting.add(elt);
  if (tries >= RETRIES.length) return;
  failures.set(elt, tries + 1);
  const wait = Math.max(RETRIES[tries], Number(xhr.getResponseHeader("Retry-After")) || 0);
  setTimeout(() => failures.has(elt) && send(elt), wait * 1000);
});

/* Notices replace one another, whatever the element that asked does with its own answers. */
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.id === "notice") detail.swapOverride = "innerHTML";
});

/* The state of an action comes for the row and for the open message; where one of them is not on the page any more, its
   piece is left out: htmx would call that an error. Cells of rows get their id here: a hundred are a kilobyte. */
function leaveOutStrays(detail) {
  if (!detail.serverResponse.includes('hx-swap-oob="innerHTML:#')) return;
  const answer = new DOMParser().parseFromString(`<template>${detail.serverResponse}</template>`, "text/html").querySelector("template");
  answer.content.querySelectorAll("[hx-swap-oob^='innerHTML:#']").forEach((piece) => {
    const id = piece.getAttribute("hx-swap-oob").slice("innerHTML:#".length);
    const cell = document.querySelector(`#rows [data-id="${CSS.escape(piece.dataset.row ?? "")}"] > .c-us`);
    if (cell) cell.id = id;
    if (!document.getElementById(id)) piece.remove();
  });
  detail.serverResponse = answer.innerHTML;
}

/* What asked may have been replaced before the answer came, as a cell is when the live updates are faster. htmx would
   then look for the other pieces in what is not on the page any more. */
function swapForOneGone(detail) {
  const { requestConfig: { elt }, serverResponse, shouldSwap, swapOverride, target, xhr } = detail;
  if (elt.isConnected || !shouldSwap) return;
  detail.shouldSwap = false;
  const style = swapOverride || xhr.getResponseHeader("HX-Reswap") || elt.getAttribute("hx-swap") || "innerHTML";
  window.htmx.swap(target.isConnected ? target : "#status", serverResponse, { swapStyle: target.isConnected ? style : "none", swapDelay: 0, settleDelay: 0 });
}

function beforeSwap({ detail }) {
  leaveOutStrays(detail);
  swapForOneGone(detail);
}

document.addEventListener("htmx:beforeSwap", beforeSwap);

/* An event of what was taken off the page does not reach the document. */
const unheard = (event) => event.detail.target.isConnected || beforeSwap(event);
document.addEventListener("htmx:beforeRequest", ({ detail: { target } }) => target.addEventListener("htmx:beforeSwap", unheard));

/* Without a connection the page says so, and says since when; what is on the screen stays. */
function offline() {
  if (!banner.hidden) return;
  banner.textContent = `No connection since ${new Date().toTimeString().slice(0, 5)}. Nothing is lost; jobs go on.`;
  banner.hidden = false;
}
function online() {
  if (banner.hidden) return;
  banner.hidden = true;
  wake();
}

document.addEventListener("visibilitychange", wake);
document.addEventListener("htmx:sendError", offline);
document.addEventListener("htmx:afterOnLoad", online);
addEventListener("offline", offline);
addEventListener("online", online);
