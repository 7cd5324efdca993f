/* Copying: data-copy holds the text, defanged by the server where it would be dangerous. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea"); // pages without TLS have no clipboard of their own
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

async function copyAndSay(text) {
  await copy(text);
  document.getElementById("status").textContent = `Copied ${text}`;
}

/* What a button copies. Of an address with data-copy-place: with the message and the tab that are open now. */
function textOf(button) {
  if (!("copyPlace" in button.dataset)) return button.dataset.copy;
  const here = new URLSearchParams(location.search);
  const address = new URL(button.dataset.copy);
  for (const name of ["open", "tab"]) if (here.get(name)) address.searchParams.set(name, here.get(name));
  return address.href;
}

/* The sender's domain has no button of its own beside the address that already has one. */
document.addEventListener("mw:key", (event) => {
  const domain = event.detail === "y d" && document.querySelector(".message")?.dataset.domain;
  if (!domain) return;
  event.preventDefault();
  copyAndSay(domain);
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  await copyAndSay(textOf(button));
  const before = button.textContent;
  if (before === "Copied") return;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
});
