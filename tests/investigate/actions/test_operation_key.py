"""The operation keys a browser makes are ones the form takes, also without a secure context."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from investigate.actions.forms import ActionForm

SCRIPTS = Path(settings.BASE_DIR, "static", "js")
# A page of which only the answered form is there; browsers have no `randomUUID` on plain HTTP.
PAGE = """
const listeners = {};
globalThis.document = { addEventListener: (name, listener) => (listeners[name] ??= []).push(listener) };
globalThis.window = { crypto: %s };
await import(%r);
const key = { value: "of-the-first-decision" };
const elt = { matches: () => false, querySelector: () => key };
for (const listener of listeners["htmx:afterRequest"]) listener({ detail: { elt, xhr: { status: 200 } } });
process.stdout.write(key.value);
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
@pytest.mark.parametrize("crypto", ["{}", "globalThis.crypto"], ids=["plain HTTP", "HTTPS"])
def test_an_answered_form_gets_a_new_key_that_the_next_click_can_use(crypto: str) -> None:
    page = PAGE % (crypto, (SCRIPTS / "actions.js").as_uri())
    made = subprocess.run(
        ["node", "--input-type=module", "--eval", page],
        capture_output=True, text=True, check=True, timeout=30,
    ).stdout  # fmt: skip

    assert made != "of-the-first-decision"
    form = ActionForm({"operation_key": made, "kind": "release"})
    assert form.is_valid(), form.errors


def test_keys_are_made_in_one_place() -> None:
    makers = [script.name for script in SCRIPTS.glob("*.js") if "randomUUID" in script.read_text()]
    assert makers == ["actions.js"]
