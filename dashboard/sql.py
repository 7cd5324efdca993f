"""Plain statements, for the few questions that every page asks.

Django writes the SQL of a query set anew each time, which takes several times as long as the answer. Statements here
must mean the same on SQLite and PostgreSQL; what needs converting (times, JSON) is better asked through a model.
"""

from __future__ import annotations

from typing import Any

from django.db import connection


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
