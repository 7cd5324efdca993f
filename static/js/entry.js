/* The form of an entry: Ctrl Enter saves, Esc leaves where nothing was written. */
document.addEventListener("keydown", (event) => {
  const form = event.target.closest?.("form[data-saves]");
  if (!form || event.isComposing) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!event.repeat) form.requestSubmit(form.querySelector("[data-save]"));
  }
});

const isChanged = (form) => [...form.elements].some((one) =>
  one.type === "checkbox" || one.type === "radio" ? one.checked !== one.defaultChecked
    : one.options ? [...one.options].some((option) => option.selected !== option.defaultSelected)
      : one.defaultValue !== undefined && one.value !== one.defaultValue);

/* Esc in a field leaves the field, as everywhere; outside of one it leaves the form, unless something was written. */
document.addEventListener("mw:key", (event) => {
  const form = event.detail === "Esc" && !event.defaultPrevented && document.querySelector("form[data-saves]");
  if (!form) return;
  event.preventDefault();
  if (isChanged(form)) document.getElementById("status").textContent = "Not left: something was written. Leave with the button.";
  else form.querySelector("[data-leave]")?.click();
});
