// The overview: figures that come by themselves close no table that somebody opened, and take no link from under a hand.
let opened = [];

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.id !== "figures") return;
  if (detail.target.contains(document.activeElement)) detail.shouldSwap = false;
  opened = [...detail.target.querySelectorAll("details[open]")].map((one) => one.id);
});

document.addEventListener("htmx:afterSwap", () => {
  for (const id of opened.splice(0)) document.getElementById(id)?.setAttribute("open", "");
});
