"""The columns that we keep ourselves: whose an entry is, for which ticket, why, and until when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone

from dashboard.access.models import Member
from settings_ui.entries.knowing import Known, who
from settings_ui.entries.life import LONGEST_REASON, LONGEST_TICKET, Life
from settings_ui.entries.rules import end_of, why_not_until
from settings_ui.models import Entry, Origin
from settings_ui.resources.description import Resource, shortened, unstorable
from settings_ui.tables import columns

_LONGEST = {columns.TICKET: LONGEST_TICKET, columns.REASON: LONGEST_REASON}


@dataclass(frozen=True)
class Kept:
    """What we know of an entry's life, and how it stands in a file."""

    life: Life
    cells: Mapping[str, str]
    origin: str = Origin.NOTED


NOTHING = Kept(Life(), dict.fromkeys(columns.LIFE, ""))


def kept(resource: Resource, upstream_ids: Collection[str]) -> dict[str, Kept]:
    """What is kept of these entries, by their ids at Cloudflare."""
    rules = set(
        Entry.objects.filter(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID, resource=resource.name, origin=Origin.ACCEPT
        ).values_list("upstream_id", flat=True)
    )
    known = who(resource.name, upstream_ids)
    return {
        upstream_id: _kept(one, Origin.ACCEPT if upstream_id in rules else Origin.NOTED)
        for upstream_id, one in known.items()
    }


def _kept(known: Known, origin: str) -> Kept:
    life = Life(owner_id=known.owner_id, ticket=known.ticket, reason=known.reason, expires_at=known.expires_at)
    cells = (known.owner_name, known.ticket, known.reason, columns.moment(known.expires_at))
    return Kept(life, dict(zip(columns.LIFE, cells, strict=True)), origin)


class Lives:
    """Reads the life of an entry off the cells of a line."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self._members: dict[str, Member | None] | None = None

    def read(self, cells: Mapping[str, str], before: Kept) -> tuple[Life | None, dict[str, str]]:
        """The life as the line has it, None where it says nothing new; and what is wrong, by column.

        A column that the file has not got, or that says what we know, leaves what is known.
        """
        said = {name: cells[name].strip() for name in columns.LIFE if name in cells}
        if all(_same(text, before.cells[name]) for name, text in said.items()):
            return None, {}
        owner_id, problems = before.life.owner_id, dict[str, str]()
        if not _same(said.get(columns.OWNER, before.cells[columns.OWNER]), before.cells[columns.OWNER]):
            owner_id, told = self._owner(said[columns.OWNER])
            problems |= {columns.OWNER: told} if told else {}
        ends = before.life.expires_at
        if not _same(said.get(columns.ENDS, before.cells[columns.ENDS]), before.cells[columns.ENDS]):
            ends, told = self._end(said[columns.ENDS], before.origin)
            problems |= {columns.ENDS: told} if told else {}
        for name, most in _LONGEST.items():
            if len(said.get(name, "")) > most:
                problems[name] = f"Shorten it: {len(said[name]):,} characters, and {most:,} is the most."
            elif unstorable(said.get(name, ""), allows_lines=True):
                problems[name] = "Take out the control characters; they cannot be kept."
        ticket = said.get(columns.TICKET, before.life.ticket)
        reason = said.get(columns.REASON, before.life.reason)
        return (None if problems else Life(owner_id, ticket, reason, ends)), problems

    def member_or_nobody(self, name: str) -> str:
        """The name where it is a member's: a backup outlives people, and an entry needs no owner."""
        return "" if self._owner(name)[1] else name

    def _owner(self, name: str) -> tuple[int | None, str]:
        if not name:
            return None, ""
        if self._members is None:
            self._members = _by_name()
        member = self._members.get(name.casefold())
        if member is not None:
            return member.pk, ""
        if name.casefold() in self._members:
            return None, f"Several members are called {shortened(name)}. Write the user name."
        return None, f"There is no member {shortened(name)}. Write a user name, or leave it empty."

    def _end(self, text: str, origin: str) -> tuple[dt.datetime | None, str]:
        try:
            end = _moment(text) if text else None
        except (ValueError, OverflowError):
            return None, f"{shortened(text, 40)} is no day. Write it like {timezone.now():%Y}-12-31."
        return end, why_not_until(self.resource, origin, end)


def _moment(text: str) -> dt.datetime:
    """A day, which an entry stands through, or a moment."""
    try:
        return end_of(dt.date.fromisoformat(text))
    except ValueError:
        moment = dt.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.strip().casefold()


def _by_name() -> dict[str, Member | None]:
    """The members who can own something, by every name they go by; None where two share one."""
    found: dict[str, Member | None] = {}
    members = list(Member.objects.filter(is_active=True))
    for member in members:
        for name in {member.display_name.casefold(), member.email.casefold()} - {""}:
            found[name] = None if name in found else member
    return found | {member.username.casefold(): member for member in members}
