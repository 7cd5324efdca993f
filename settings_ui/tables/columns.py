"""The columns of a file, made from the description of a list: the same ones go out and come in."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from settings_ui.resources.description import Field, Resource, Wrong

ID = "id"
OWNER, TICKET, REASON, ENDS = LIFE = ("owner", "ticket", "reason", "ends")
TIMES = ("created_at", "modified_at")
PROBLEM = "problem"  # of the file of bad lines; nobody has to take it out again


def of_export(resource: Resource) -> list[str]:
    return [ID, *(field.name for field in resource.fields), *LIFE, *TIMES]


def known(resource: Resource) -> dict[str, str]:
    """How a column may be called in a file, and which one that is: by the API's name, or as our screens call it."""
    names = {folded(name): name for name in (*of_export(resource), PROBLEM)}
    for field in resource.fields:
        names.setdefault(folded(field.label), field.name)
    return names


def folded(name: str) -> str:
    """A column's name without what people and spreadsheets do to it: "Pattern Type " is pattern_type."""
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def required(resource: Resource) -> list[Field]:
    """What an entry cannot be made without."""
    return [field for field in resource.sent if not _has_default(field)]


def is_read(resource: Resource, name: str) -> bool:
    """Whether what stands in the column has any effect."""
    return name in (ID, *LIFE) or any(field.name == name for field in resource.sent)


def moment(at: dt.datetime | None) -> str:
    """A time as a cell; `settings_ui.tables.lives` reads it back."""
    return "" if at is None else at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def listed(names: Sequence[str]) -> str:
    """Names inside a sentence: "pattern, domain and comments"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _has_default(field: Field) -> bool:
    try:
        field.clean(field.default)
    except Wrong:
        return False
    return True
