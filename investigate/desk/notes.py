"""What colleagues write about a message, and whom they name in it. Notes are added, never changed."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from investigate.desk import words
from investigate.desk.cases import Conflict, NotPossible, all_cases, check_may_work
from investigate.desk.changes import note_change
from investigate.models import Case, Mention, Note

LONGEST_NOTE = 4000
MOST_SHOWN = 200
_NAMED = re.compile(r"(?<![\w@.])@([\w.@+-]{1,150})")
_ENDS_A_SENTENCE = ".-+@"  # may stand in a user name, and after one

MENTIONS = "mentions"
_COUNT = (
    "SELECT 'mentions', count(*) FROM investigate_mention m JOIN investigate_note n ON n.id = m.note_id"
    " JOIN investigate_case c ON c.id = n.case_id"
    " WHERE m.member_id = %s AND m.seen_at IS NULL AND c.account_id = %s{inside}"
)


@dataclass(frozen=True)
class NoteView:
    """A note as it is shown: its text in parts, so that names stand out without a character being trusted."""

    author: str
    at: dt.datetime
    parts: list[tuple[str, bool]]  # (text, whether it names somebody)

    @property
    def first_line(self) -> str:
        return "".join(text for text, _ in self.parts).strip().partition("\n")[0]


def add_note(*, actor: Member, case: Case, text: str, operation_key: str, request: HttpRequest | None) -> Note:
    """Write something about a message and tell whoever is named in it. A form that is sent twice writes once.

    Raises NotPossible where somebody is named who cannot see the message: they would never read it.
    """
    check_may_work(actor, case)
    text = storable_text(text.strip())
    if not text or len(text) > LONGEST_NOTE:
        raise NotPossible(f"A note has 1 to {LONGEST_NOTE:,} characters.")
    if again := _same(actor, case, text, operation_key):
        return again
    named = _named(text, case)
    now = timezone.now()
    try:
        with transaction.atomic():
            note = Note.objects.create(
                case=case,
                author=actor,
                author_name=storable_text(actor.display_name, limit=300),
                text=text,
                operation_key=operation_key,
                created_at=now,
            )
            Mention.objects.bulk_create(Mention(note=note, member=member) for member in named if member != actor)
            all_cases().filter(pk=case.pk).update(version=F("version") + 1, changed_at=now)
            all_cases().filter(pk=case.pk, holder=actor).update(holder_seen_at=now)
            record(
                actor=actor,
                action="case:note",
                targets=[case.key],
                detail={"note": note.pk, "characters": len(text), "names": [member.username for member in named]},
                request=request,
            )
            note_change([case.key])
    except IntegrityError:
        if again := _same(actor, case, text, operation_key):
            return again
        raise
    return note


def notes_on(case: Case) -> list[NoteView]:
    """All notes, newest first."""
    found = list(case.notes.order_by("-created_at", "-pk")[:MOST_SHOWN])
    known = _known_names(note.text for note in found)
    return [NoteView(note.author_name, note.created_at, _parts(note.text, known)) for note in found]


def unseen_mentions(member: Member) -> QuerySet[Mention]:
    """Where somebody is named and has not looked; cases outside their domains are not there."""
    return Mention.objects.filter(
        member.scope.q("note__case__domains"),
        member=member,
        seen_at=None,
        note__case__account_id=settings.CLOUDFLARE_ACCOUNT_ID,
    )


def count(member: Member) -> tuple[str, list[object]]:
    """The number of them as a statement for the frame of every page, and its parameters: one row of (name, number).

    For `dashboard.sql.fetch`, alone or joined to others by UNION ALL.
    """
    names = [f" {domain} " for domain in sorted(member.scope.domains)]
    inside = f" AND ({' OR '.join(['replace(c.domains, %s, %s) <> c.domains'] * len(names))})" if names else ""
    values = [value for name in names for value in (name, "")]
    return _COUNT.replace("{inside}", inside), [member.pk, settings.CLOUDFLARE_ACCOUNT_ID, *values]


def mark_seen(member: Member, case: Case) -> int:
    """They have opened the notes."""
    return Mention.objects.filter(member=member, seen_at=None, note__case=case).update(seen_at=timezone.now())


def can_be_named() -> list[str]:
    """User names of active members, for completion; whether they can see the message is told when the note is sent."""
    return list(Member.objects.filter(is_active=True).order_by("username").values_list("username", flat=True)[:500])


def _named(text: str, case: Case) -> list[Member]:
    names = {name for match in _NAMED.finditer(text) for name in _spellings(match.group(1))}
    if not names:
        return []
    members = [member for member in Member.objects.all() if member.username.casefold() in names]
    blind = [member.username for member in members if not _can_see(member, case)]
    if blind:
        raise NotPossible(words.cannot_see(blind))
    return members


def _can_see(member: Member, case: Case) -> bool:
    return member.is_active and member.may(Permission.MESSAGE_READ) and member.scope.sees_domains(case.domains)


def _spellings(name: str) -> tuple[str, str]:
    """The name as it stands, and without what ends a sentence; the first that a member has is meant."""
    return (name.casefold(), name.rstrip(_ENDS_A_SENTENCE).casefold())


def _known_names(texts: Iterable[str]) -> frozenset[str]:
    """Names of members among those written with an @."""
    names = {name for text in texts for match in _NAMED.finditer(text) for name in _spellings(match.group(1))}
    if not names:
        return frozenset()
    return frozenset(name.casefold() for name in Member.objects.values_list("username", flat=True)) & names


def _parts(text: str, known: frozenset[str]) -> list[tuple[str, bool]]:
    parts: list[tuple[str, bool]] = []
    end = 0
    for match in _NAMED.finditer(text):
        name = next((name for name in _spellings(match.group(1)) if name in known), "")
        if name:
            stop = match.start(1) + len(name)
            parts += [(text[end : match.start()], False), (text[match.start() : stop], True)]
            end = stop
    return [part for part in (*parts, (text[end:], False)) if part[0]]


def _same(actor: Member, case: Case, text: str, operation_key: str) -> Note | None:
    """The note this form has written already, if it has; Conflict where the form holds something else now."""
    note = Note.objects.filter(operation_key=operation_key).select_related("case").first()
    if note is not None and (note.author_id, note.case_id, note.text) != (actor.pk, case.pk, text):
        raise Conflict("This form was used already, for another note. Nothing was written.", case)
    return note
