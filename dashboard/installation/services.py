"""Setting a value for all processes, and giving the environment's back; each with its row in the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, JSONField, Value
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.installation import values
from dashboard.installation.described import DESCRIBED, Described, loosened
from dashboard.installation.models import SetValue


class Changed(Exception):
    """Somebody set it in the meantime."""


class Loosens(Exception):
    """It takes a safeguard away, which nobody has accepted; the text says what that means."""


@dataclass(frozen=True)
class Standing:
    """What counts for one value now, and whose it is."""

    about: Described
    value: Any
    of_environment: Any
    version: int
    is_set: bool
    row: SetValue | None

    @property
    def said(self) -> str:
        return self.about.say(self.value)

    @property
    def environment_says(self) -> str:
        return self.about.say(self.of_environment)

    @property
    def meaning_of_back(self) -> str:
        """What the environment's value would take away from the team's safety."""
        return loosened(self.about.name, self.value, self.of_environment)


def standing(name: str) -> Standing:
    return _standing(DESCRIBED[name], SetValue.objects.filter(name=name).first())


def standings() -> list[tuple[str, list[Standing]]]:
    """Every value, group by group; read from the rows themselves and not from what this process remembers."""
    rows = {row.name: row for row in SetValue.objects.filter(name__in=DESCRIBED)}
    groups: dict[str, list[Standing]] = {}
    for name, about in DESCRIBED.items():
        groups.setdefault(about.group, []).append(_standing(about, rows.get(name)))
    return list(groups.items())


def _standing(about: Described, row: SetValue | None) -> Standing:
    own = getattr(settings, about.name)
    read = None if row is None else about.read(row.value)
    return Standing(
        about=about,
        value=own if read is None else read,
        of_environment=own,
        version=row.version if row else 0,
        is_set=read is not None,
        row=row,
    )


def set_value(
    *, actor: Member, name: str, value: Any, version: int, accepts: bool = False, request: HttpRequest | None
) -> None:
    """Have this count instead of the environment's value, in every process within some seconds."""
    _put(actor, name, value, version, accepts=accepts, request=request)


def give_back(*, actor: Member, name: str, version: int, accepts: bool = False, request: HttpRequest | None) -> None:
    """Have the environment's value count again."""
    _put(actor, name, None, version, accepts=accepts, request=request)


def _put(actor: Member, name: str, value: Any, version: int, *, accepts: bool, request: HttpRequest | None) -> None:
    about, now = DESCRIBED[name], standing(name)
    after = now.of_environment if value is None else value
    meaning = loosened(name, now.value, after)
    if now.version != version:
        raise Changed
    is_so_already = now.is_set and now.value == value if value is not None else not now.is_set
    if is_so_already:
        return
    if meaning and not accepts:
        raise Loosens(meaning)
    with transaction.atomic():
        _write(actor, about, value, version)
        record(
            actor=actor,
            action="installation:change",
            targets=[about.variable],
            detail={
                "before": about.say(now.value),
                "after": about.say(after),
                "is_of_environment": value is None,
                **({"accepted": meaning} if meaning else {}),
            },
            request=request,
        )
    values.forget()


def _write(actor: Member, about: Described, value: Any, version: int) -> None:
    """The row stays when the environment's value is back, so that its version never begins again."""
    put = {
        "value": Value(None, JSONField()) if value is None else about.write(value),
        "changed_by": storable_text(actor.display_name, limit=300),
        "changed_at": timezone.now(),
    }
    if version:
        if not SetValue.objects.filter(name=about.name, version=version).update(**put, version=F("version") + 1):
            raise Changed
        return
    try:
        with transaction.atomic():
            SetValue.objects.create(name=about.name, **put)
    except IntegrityError:
        raise Changed from None
