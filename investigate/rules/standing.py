"""What the account's lists say of an address or a domain already, as far as it is known here without a call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import CharField, DateTimeField, Q, QuerySet, Value
from django.urls import reverse

from dashboard.emailsec.types import Message
from investigate.rules import words
from investigate.rules.candidates import Candidate, candidates_of
from settings_ui.models import OPEN_STATES, Entry, Mirrored
from settings_ui.models.naming import start_of, starts_of
from settings_ui.patterns.comparing import MOST_EXPRESSIONS
from settings_ui.patterns.linter import Listed
from settings_ui.resources import BY_NAME
from settings_ui.watching import mirror

BLOCKED, ALLOWED = "block_senders", "allow_policies"


@dataclass(frozen=True)
class Standing:
    """One entry that names exactly this address or domain."""

    resource: str
    pattern: str
    upstream_id: str
    since: dt.datetime | None
    who: str = ""
    until: dt.datetime | None = None

    @property
    def sentence(self) -> str:
        return words.stands(self.resource, self.pattern, self.since, self.who, self.until)

    @property
    def url(self) -> str:
        """Its page, where Cloudflare has given it an id already."""
        slug = BY_NAME[self.resource].slug
        return reverse("settings:entry", args=[slug, self.upstream_id]) if self.upstream_id else ""


def standing(patterns: Collection[str]) -> list[Standing]:
    """The blocks and the allow policies for these patterns: those made here, and those the last reading found.

    One query. What was removed elsewhere since the last reading is told all the same, so nothing is refused for it.
    """
    ours = _named_in(Entry.objects.filter(state__in=OPEN_STATES), "pattern", patterns)
    read = _named_in(Mirrored.objects.all(), "label", patterns)
    rows = ours.values_list("resource", "pattern", "upstream_id", "created_at", "owner_name", "expires_at").union(
        read.values_list(
            "resource",
            "label",
            "upstream_id",
            "created_at",
            Value("", output_field=CharField()),
            Value(None, output_field=DateTimeField()),
        ),
        all=True,
    )
    found: dict[tuple[str, str], Standing] = {}
    wanted = {pattern.casefold() for pattern in patterns}
    named = [one for one in (Standing(*row) for row in rows) if one.pattern.casefold() in wanted]
    for one in sorted(named, key=lambda one: not one.who):
        found.setdefault((one.resource, one.upstream_id or one.pattern.casefold()), one)
    return sorted(found.values(), key=lambda one: one.resource != BLOCKED)


def standing_for(message: Message) -> list[Standing]:
    """The same for everybody this message names as its sender."""
    patterns = [candidate.pattern for candidate in candidates_of(message)]
    return standing(patterns) if patterns else []


def nearby(resource: str, candidates: Iterable[Candidate]) -> list[Listed]:
    """Entries of a list that may be about the same mail as one of the candidates: what a conflict is looked for in.

    Of its expressions one more than is ever compared.
    """
    wanted = Q()
    for candidate in candidates:
        wanted |= Q(label__iexact=candidate.pattern) | Q(label__iexact=candidate.domain)
        if candidate.is_domain:
            wanted |= Q(label__iendswith=f"@{candidate.domain}")
    is_expression = Q(values__is_regex=True)
    plain = mirror(resource).filter(wanted).exclude(is_expression) if wanted else mirror(resource).none()
    expressions = mirror(resource).filter(is_expression).order_by("pk")[: MOST_EXPRESSIONS + 1]
    return [Listed(*one) for found in (plain, expressions) for one in found.values_list("label", "values")]


def _named_in(rows: QuerySet[Entry] | QuerySet[Mirrored], column: str, patterns: Collection[str]) -> QuerySet:
    of_lists = rows.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, resource__in=(BLOCKED, ALLOWED))
    return of_lists.annotate(start=start_of(column)).filter(start__in=starts_of(patterns)).order_by()
