/* Passkeys. A form with data-passkey ("get" or "create") holds the server's challenge in data-options, or fetches it from
   data-challenge; its button asks the browser for a signed answer, which goes into the field "credential". Browsers keep passkeys
   for a name and a safe connection only; elsewhere the forms stay hidden, and data-passkey-missing says so. */
const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

function readable(options) {
  const named = (list) => list?.map((one) => ({ ...one, id: bytes(one.id) }));
  const key = { ...options.publicKey, challenge: bytes(options.publicKey.challenge) };
  if (key.user) key.user = { ...key.user, id: bytes(key.user.id) };
  if (key.allowCredentials) key.allowCredentials = named(key.allowCredentials);
  if (key.excludeCredentials) key.excludeCredentials = named(key.excludeCredentials);
  return { publicKey: key };
}

function sendable(credential) {
  const parts = credential.response;
  const response = { clientDataJSON: text(parts.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (parts[name]) response[name] = text(parts[name]);
  }
  if (parts.getTransports) response.transports = parts.getTransports();
  return JSON.stringify({
    id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
    authenticatorAttachment: credential.authenticatorAttachment,
    clientExtensionResults: credential.getClientExtensionResults(),
  });
}

async function optionsOf(form) {
  if (form.dataset.options) return JSON.parse(form.dataset.options);
  const answer = await fetch(form.dataset.challenge, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

async function answer(form) {
  const options = readable(await optionsOf(form));
  if (form.dataset.passkey === "get") return navigator.credentials.get(options);
  if (form.elements.passwordless?.checked) {
    Object.assign(options.publicKey.authenticatorSelection ??= {}, { residentKey: "required", requireResidentKey: true });
  }
  return navigator.credentials.create(options);
}

const isNamed = !/^[\d.]+$|^\[/.test(location.hostname);

if (window.PublicKeyCredential && isNamed) {
  document.querySelectorAll("[data-passkey-missing]").forEach((one) => { one.hidden = true; });
  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    const [start, failed] = ["start", "failed"].map((name) => form.querySelector(`[data-passkey-${name}]`));
    form.hidden = false;
    const ask = async () => {
      start.disabled = true;
      failed.hidden = true;
      try {
        form.elements.credential.value = sendable(await answer(form));
        form.submit();
      } catch {
        failed.hidden = false;
        start.disabled = false;
        start.focus();
      }
    };
    start.addEventListener("click", ask);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask();
    });
  });
}
