"""Values an admin may set in the browser: each replaces the one of the environment.

`setting("MEMORY_DAYS")` is what counts now, in every process: a change is seen at once by the process that made it,
and by the others within some seconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as AnyDatabaseError

from dashboard.installation.described import DESCRIBED
from dashboard.installation.models import SetValue

log = structlog.get_logger("mailwarden.values")

BELIEVED = 5.0  # seconds a process goes on with what it read

_known: tuple[float, Mapping[str, Any]] = (float("-inf"), {})  # good until, by name


def setting(name: str) -> Any:
    """The value of `settings.<name>`, or what an admin set instead."""
    good_until, known = _known
    if time.monotonic() >= good_until:
        known = _read(known)
    found = known.get(name)
    return getattr(settings, name) if found is None else found


def believe(known: Mapping[str, Any], *, seconds: float = BELIEVED) -> None:
    """Take these values for the ones that are set, for a while."""
    global _known
    _known = (time.monotonic() + seconds, known)


def forget() -> None:
    """Read again the next time somebody asks."""
    believe(_known[1], seconds=float("-inf"))


def _read(before: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is set; a database that is away leaves what was known, and that is at first the environment's values."""
    try:
        rows = dict(SetValue.objects.values_list("name", "value"))
    except AnyDatabaseError as exc:
        log.warning("set_values_not_read", error=type(exc).__name__)
        found = before
    else:
        found = {name: DESCRIBED[name].read(value) for name, value in rows.items() if name in DESCRIBED}
    believe(found)
    return found
