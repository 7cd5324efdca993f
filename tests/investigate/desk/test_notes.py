"""Notes are text, are written once, and reach exactly those who are named and can see the message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.sql import fetch
from investigate.desk import notes
from investigate.desk.cases import Conflict, NotPossible
from investigate.models import Case, Mention, Note

Write = Callable[..., Note]


def counted(member: Member) -> int:
    statement, values = notes.count(member)
    return dict(fetch(statement, *values))[notes.MENTIONS]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("@ben can you look?", ["ben"]),
        ("Sure, @Ben.", ["ben"]),
        ("(@ben, @ada)", ["ada", "ben"]),
        ("mail to ben@ben.example", []),
        ("@nobody knows", []),
        ("@ana myself", []),
        ("@ben and @ben again", ["ben"]),
    ],
)
@pytest.mark.usefixtures("ben", "ada")
def test_who_is_named_is_told(text: str, named: list[str], ana: Member, case: Case, write: Write) -> None:
    write(ana, case, text)

    assert sorted(Mention.objects.values_list("member__username", flat=True)) == named


def test_a_name_stands_out_and_the_rest_stays_text(ana: Member, ben: Member, case: Case, write: Write) -> None:
    write(ana, case, "ask @ben. <b>now</b>")

    (note,) = notes.notes_on(case)
    assert note.parts == [("ask ", False), ("@ben", True), (". <b>now</b>", False)]


@pytest.mark.parametrize("flaw", [{"domains": ["outside.example"]}, {"is_active": False}, {"role": "no such role"}])
def test_nobody_is_named_who_cannot_see_the_message(
    flaw: dict[str, Any], ana: Member, ben: Member, case: Case, write: Write
) -> None:
    Member.objects.filter(pk=ben.pk).update(**flaw)

    with pytest.raises(NotPossible, match="@ben cannot see this message"):
        write(ana, case, "@ben look")
    assert not Note.objects.exists()


def test_looking_marks_a_mention_as_seen_for_oneself_alone(
    ana: Member, ben: Member, ada: Member, case: Case, write: Write
) -> None:
    write(ana, case, "@ben @ada")

    assert notes.mark_seen(ben, case) == 1
    assert [notes.unseen_mentions(member).count() for member in (ben, ada)] == [0, 1]
    assert [counted(member) for member in (ben, ada)] == [0, 1]


def test_a_mention_in_a_case_that_went_out_of_sight_is_not_counted(
    ana: Member, ben: Member, case: Case, write: Write
) -> None:
    write(ana, case, "@ben")
    ben.domains = ["outside.example"]

    assert notes.unseen_mentions(ben).count() == counted(ben) == 0

    ben.domains = ["outside.example", case.domains.split()[0]]
    assert notes.unseen_mentions(ben).count() == counted(ben) == 1


@pytest.mark.matrix(8, 9)
def test_the_same_form_writes_once_and_another_text_is_refused(ana: Member, case: Case, write: Write) -> None:
    first = write(ana, case, "looks fine", "key")

    assert write(ana, case, "looks fine", "key") == first
    with pytest.raises(Conflict):
        write(ana, case, "looks bad", "key")
    assert Note.objects.count() == 1


@pytest.mark.parametrize("text", ["", "   ", "x" * 4001])
def test_a_note_has_a_length(text: str, ana: Member, case: Case, write: Write) -> None:
    with pytest.raises(NotPossible, match="4,000"):
        write(ana, case, text)


def test_the_trail_keeps_that_a_note_was_written_and_not_what_it_says(ana: Member, case: Case, write: Write) -> None:
    write(ana, case, "the secret sentence")

    event = AuditEvent.objects.get()
    assert event.action == "case:note"
    assert "secret" not in str(event.detail)


def test_a_role_without_the_right_writes_nothing(vera: Member, case: Case, write: Write) -> None:
    with pytest.raises(PermissionDenied):
        write(vera, case, "hello")
