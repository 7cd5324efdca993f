"""What the pattern in a form would have matched among recent mail."""

from __future__ import annotations

from typing import Any

from settings_ui.forms.building import EntryForm
from settings_ui.patterns.matching import Against, Tried, try_pattern
from settings_ui.resources.description import Resource


def tried(form: EntryForm) -> Tried | None:
    """None while nothing is written. Other fields of the form count as far as they are right."""
    resource = form.resource
    pattern = str(form.data.get(resource.tried, "")).strip() if resource.tried else ""
    if not pattern:
        return None
    said: dict[str, Any] = {name: form.cleaned_data.get(name) for name in form.fields}
    return try_pattern(
        against=_against(resource, said),
        pattern=pattern,
        pattern_type=said.get("pattern_type"),
        is_regex=bool(said.get("is_regex", resource.against in (Against.SUBJECT, Against.NOTHING))),
        also={name: str(value) for name, value in said.items() if isinstance(value, str | bool)},
    )


def _against(resource: Resource, said: dict[str, Any]) -> Against:
    """What decides is what the rule is about: one that only exempts recipients says nothing of senders."""
    if said.get("is_exempt_recipient") and not (said.get("is_acceptable_sender") or said.get("is_trusted_sender")):
        return Against.RECIPIENT
    if said.get("targets") == ["BODY"]:
        return Against.NOTHING
    return resource.against
