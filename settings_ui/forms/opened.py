"""An entry as it was when its form was opened. The form carries it along, signed: only so can an edit tell what changed
meanwhile from what the person changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core import signing

from settings_ui.resources.description import Resource, Values

_SALT = "settings.opened"


@dataclass(frozen=True)
class Opened:
    """`was` is set once it changed meanwhile: `values` are theirs then, and `was` what the form began with."""

    entry_id: str
    values: Values
    was: Values | None = None

    def signed(self, resource: Resource) -> str:
        kept = {"list": resource.name, "id": self.entry_id, "values": dict(self.values)}
        if self.was is not None:
            kept["was"] = dict(self.was)
        return signing.dumps(kept, salt=_SALT, compress=True)

    @classmethod
    def read(cls, text: str, *, resource: Resource, entry_id: str) -> Opened | None:
        """None for what was not made here, or for another entry."""
        try:
            kept: dict[str, Any] = signing.loads(text, salt=_SALT)
        except signing.BadSignature:
            return None
        if (kept["list"], kept["id"]) != (resource.name, entry_id):
            return None
        return cls(entry_id, kept["values"], kept.get("was"))
