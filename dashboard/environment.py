"""Values of the environment, read strictly: what cannot be understood stops the start with one sentence.

The sentences name the variable and never repeat what may be a secret. Used by the settings and by gunicorn's own file,
which is read before Django is there.
"""

from __future__ import annotations

import os
import re

from django.core.exceptions import ImproperlyConfigured

_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def text(name: str, default: str = "") -> str:
    """The value without surrounding white space; a variable that is set to nothing counts as not set."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool) -> bool:
    """True or false. A typing error must never decide, least of all towards the unsafe side."""
    value = text(name)
    if not value:
        return default
    if value.lower() not in _FLAGS:
        raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")
    return _FLAGS[value.lower()]


def number(name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
    """A whole number in plain digits."""
    value = text(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < least or (most is not None and int(value) > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ImproperlyConfigured(f"{name} must be a whole number {bounds}, not {value!r}.")
    return int(value)


def names(name: str, default: list[str]) -> list[str]:
    """Values between commas."""
    return [part.strip() for part in text(name).split(",") if part.strip()] or default


def names_of(name: str, known: tuple[str, ...]) -> frozenset[str]:
    """Some of a few words between commas. Not set stands for all of them, and set to nothing for none."""
    value = os.environ.get(name)
    if value is None:
        return frozenset(known)
    found = {part.strip().lower() for part in value.split(",") if part.strip()}
    if not found <= set(known):
        raise ImproperlyConfigured(f"{name} must be some of {', '.join(known)} between commas, not {value!r}.")
    return frozenset(found)


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of a few words, in capitals or not."""
    value = text(name, default).upper()
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")
    return value
