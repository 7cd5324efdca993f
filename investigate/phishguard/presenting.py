"""A report as a member may have it: recipients inside their domains, and what outsiders wrote as inert text."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass

from dashboard.access.models import Member
from dashboard.access.scope import Scope
from dashboard.emailsec.types import PhishGuardReport
from dashboard.web.text import defang, visible
from investigate.desk.cases import cases_of, held_now
from investigate.desk.queue import address_of
from investigate.message.wording import verdict_word
from investigate.models import Case, CaseReport, CaseSource, CaseState
from investigate.phishguard.criteria import Criteria

MOST_TEXT = 1_000_000  # characters; marks make text up to eight times as long
ENDS = "\n\n[Mailwarden shows the first million characters.]\n"
ELSEWHERE = "[an address outside your domains]"
_LINK = re.compile(r"\b(?:https?|ftp)://[^\s<>\"']+|\bwww\.[^\s<>\"']+", re.IGNORECASE)
# Looked for from the beginning of a word alone: one without an @ would be read anew from each of its letters.
_ADDRESS = re.compile(r"(?<![^\s<>()\[\],;:\"'])[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"'@]+")


def key_of(report: PhishGuardReport) -> str:
    """Its name in the trail, on the desk and in the list."""
    return f"{CaseSource.PHISHGUARD}:{report.id}"


@dataclass(frozen=True)
class Shown:
    """One report with what the desk has of it. `query` finds it again."""

    report: PhishGuardReport
    case: Case | None
    to: tuple[str, ...]
    hides_recipients: bool
    query: str

    @property
    def key(self) -> str:
        return key_of(self.report)

    @property
    def verdict(self) -> str:
        return str(self.report.disposition or "")

    @property
    def verdict_word(self) -> str:
        return verdict_word(self.report.disposition) if self.report.disposition else "Not told"

    @property
    def at(self) -> dt.datetime | None:
        """When it was written, or when the mail came where that is not told."""
        return self.report.created_at or self.report.fields.occurred_at

    @property
    def case_url(self) -> str:
        return address_of(self.case) if self.case else ""

    @property
    def standing(self) -> str:
        """How far the desk is with it; "" where it is not there."""
        if self.case is None:
            return ""
        state = CaseState(self.case.state).label.lower()
        return f"{state}, {self.case.holder_name}" if held_now(self.case) else state


def shown(reports: Iterable[PhishGuardReport], member: Member, here: Criteria) -> list[Shown]:
    """Reports with their cases, in one query."""
    listed = list({report.id: report for report in reports}.values())
    known = CaseReport.objects.filter(
        source=CaseSource.PHISHGUARD, upstream_id__in=[report.id for report in listed], case__in=cases_of(member)
    )
    cases = {one.upstream_id: one.case for one in known.select_related("case", "case__holder")}
    scope = member.scope
    return [
        Shown(
            report=report,
            case=cases.get(report.id),
            to=scope.inside(report.fields.to),
            hides_recipients=not scope.covers_all(report.fields.to),
            query=here.query(),
        )
        for report in listed
    ]


def inert(report: PhishGuardReport, scope: Scope) -> str:
    """The content as text that nothing makes live, without addresses its reader may not know of."""
    text = (report.content or "").replace("\r\n", "\n")
    is_cut = len(text) > MOST_TEXT
    text = text[:MOST_TEXT]
    if not scope.is_whole:
        sender = (report.fields.from_ or "").casefold()
        text = _ADDRESS.sub(lambda found: _inside(found[0], scope, sender), text)
    text = visible(_LINK.sub(lambda found: defang(found[0]), text))
    return text + ENDS if is_cut else text


def _inside(address: str, scope: Scope, sender: str) -> str:
    plain = address.rstrip(".!?")
    return address if plain.casefold() == sender or scope.covers(plain) else ELSEWHERE
