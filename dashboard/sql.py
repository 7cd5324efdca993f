"""Plain statements, for the few questions that every page asks; and moments by the database's clock.

Django writes the SQL of a query set anew each time, which takes several times as long as the answer. Statements here
must mean the same on SQLite and PostgreSQL; what needs converting (times, JSON) is better asked through a model.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connection
from django.db.models import Value
from django.db.models.expressions import Combinable, CombinedExpression
from django.db.models.functions import Now


def fetch(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """All rows. Each `%s` stands for one parameter; a list or tuple (never an empty one) becomes `(%s, %s, ...)`."""
    places: list[str] = []
    values: list[Any] = []
    for parameter in parameters:
        if isinstance(parameter, list | tuple):
            places.append(f"({', '.join(['%s'] * len(parameter))})")
            values += parameter
        else:
            places.append("%s")
            values.append(parameter)
    with connection.cursor() as cursor:
        cursor.execute(statement % tuple(places), values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def seconds_from_now(seconds: float) -> Combinable:
    """A moment by the database's clock: those of the processes may differ."""
    return CombinedExpression(Now(), "+", Value(dt.timedelta(seconds=seconds)))
