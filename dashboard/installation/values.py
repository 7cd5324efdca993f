"""Values an admin may set in the browser: each replaces the one of the environment.

`setting("MEMORY_DAYS")` is what counts now, in every process.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings


def setting(name: str) -> Any:
    """The value of `settings.<name>`, or what an admin set instead."""
    return getattr(settings, name)
