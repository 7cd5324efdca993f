/* The title of the tab says what is searched for and how much is new: "(3 new) status:quarantined - Mailwarden". */
const line = () => document.getElementById("filter-line");

function retitle() {
  const arrivals = /^\d+/.exec(document.getElementById("arrivals")?.textContent.trim() ?? "");
  const name = line().value.trim().slice(0, 60) || "Investigate";
  document.title = `${arrivals ? `(${arrivals[0]} new) ` : ""}${name} - Mailwarden`;
}

document.addEventListener("htmx:afterSettle", (event) => {
  if (line() && ["arrivals", "results"].includes(event.detail.target?.id)) retitle();
});
