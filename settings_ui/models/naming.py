"""Finding an entry by its name, whatever its case: an expression that the tables have an index on."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import CharField, Func
from django.db.models.functions import Lower

LONGEST = 200  # characters of a name that are compared: an index row has room for no more in every alphabet


def start_of(column: str) -> Lower:
    """The first characters in small letters. The number is no parameter: SQLite compares the text of an expression."""
    return Lower(Func(column, template=f"SUBSTR(%(expressions)s, 1, {LONGEST})", output_field=CharField()))


def starts_of(names: Iterable[str]) -> list[str]:
    """The same of what is looked for."""
    return [name[:LONGEST].lower() for name in names]
