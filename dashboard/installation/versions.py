"""Which version of Mailwarden this is."""

from __future__ import annotations

import tomllib
from functools import cache

from django.conf import settings


@cache
def our_version() -> str:
    """As the project's own file says it; "" where that was not brought along."""
    try:
        project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return ""
    return str(project.get("version", ""))
