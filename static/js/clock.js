/* Counting texts: data-until and data-since hold a moment, data-count seconds from when it was first seen; data-lead stands before it,
   and data-over stands there when it is over.
   While the status line counts down a pause of all calls, what would cost one (data-costs) rests and says why. */
function spell(seconds) {
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function tick() {
  if (document.hidden) return;
  const now = Date.now();
  document.querySelectorAll("[data-count]").forEach((one) => {
    one.dataset.until = new Date(now + one.dataset.count * 1000).toISOString();
    delete one.dataset.count;
  });
  document.querySelectorAll("[data-until]").forEach((one) => {
    const left = Math.ceil((Date.parse(one.dataset.until) - now) / 1000);
    one.textContent = left > 0 ? (one.dataset.lead ?? "") + spell(left) : one.dataset.over ?? "now";
  });
  document.querySelectorAll("[data-since]").forEach((one) => {
    one.textContent = spell(Math.max(0, Math.floor((now - Date.parse(one.dataset.since)) / 1000)));
  });
  const pause = document.querySelector("#footer [data-pause]");
  const isPaused = Boolean(pause) && Date.parse(pause.dataset.until) > now;
  document.querySelectorAll("[data-costs]").forEach((one) => {
    one.toggleAttribute("disabled", isPaused);
    one.setAttribute("aria-disabled", isPaused);
    if (isPaused) one.dataset.why = "All calls are paused; the status line counts down.";
    else delete one.dataset.why;
  });
}

tick();
setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
document.addEventListener("htmx:afterSettle", tick);
