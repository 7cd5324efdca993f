"""Where a message is now: what the API said last, or what we did since."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.scope import Scope
from dashboard.emailsec.enums import DeliveryStatus as Status
from investigate.memory.places import where_now
from investigate.memory.queries import history_of
from investigate.models import Action, ActionItem, Receipt, SeenCopy
from tests.investigate.memory.conftest import Seen


def did(
    name: str, kind: str, destination: str = "", *, ago: float, state: str = "done", domains: str = " corp.example ",
    reached: Sequence[str] = (),
) -> None:  # fmt: skip
    """The team did this so many minutes ago; `reached` are the copies that the answer names as done."""
    at = timezone.now() - dt.timedelta(minutes=ago)
    action = Action.objects.create(
        operation_key=uuid.uuid4().hex, fingerprint="f", actor_name="Ana", kind=kind, destination=destination,
        state=state, created_at=at, due_at=at, finished_at=at,
    )  # fmt: skip
    item = ActionItem.objects.create(action=action, investigate_id=name, state=state, domains=domains)
    for recipient in reached:
        Receipt.objects.create(item=item, recipient=recipient, is_done=True)


@pytest.mark.parametrize(
    ("statuses", "word", "says"),
    [
        ([Status.DELIVERED], "delivered", "Delivered"),
        ([Status.QUARANTINED], "quarantined", "Quarantine"),
        ([Status.QUARANTINED, Status.DELIVERED], "delivered", "Delivered"),
        ([Status.MOVED], "moved", "Moved"),
        ([Status.BOUNCED], "undelivered", "Not delivered"),
        ([], "unknown", "Not known"),
    ],
    ids=["delivered", "quarantined", "both", "moved", "bounced", "nothing"],
)
def test_without_actions_of_ours_the_row_counts(statuses: list[Status], word: str, says: str, seen: Seen) -> None:
    where = where_now([seen("m", delivery_status=tuple(statuses))])["m"]

    assert (where.word, where.says, where.is_ours) == (word, says, False)


@pytest.mark.parametrize(
    ("kind", "destination", "word"),
    [
        ("release", "", "released"),
        ("move", "JunkEmail", "junk"),
        ("move", "DeletedItems", "trash"),
        ("move", "RecoverableItemsPurges", "deleted"),
        ("move", "Inbox", "inbox"),
    ],
)
def test_what_we_did_later_counts(kind: str, destination: str, word: str, seen: Seen) -> None:
    row = seen("m", seen_ago=30)
    did("m", "move", "JunkEmail", ago=20)
    did("m", kind, destination, ago=10)

    where = where_now([row])["m"]

    assert (where.word, where.is_ours) == (word, True)


def test_what_the_api_said_later_counts_more_than_what_we_did(seen: Seen) -> None:
    row = seen("m", seen_ago=5, delivery_status=(Status.DELIVERED,))
    did("m", "move", "JunkEmail", ago=60)

    assert where_now([row])["m"].word == "delivered"


def test_only_our_action_says_where_something_was_moved_to(seen: Seen) -> None:
    row = seen("m", seen_ago=5, delivery_status=(Status.MOVED,))
    did("m", "move", "DeletedItems", ago=60)

    assert where_now([row])["m"].word == "trash"


@pytest.mark.parametrize("state", ["failed", "unknown", "cancelled", "sending"])
def test_what_did_not_happen_moves_nothing(state: str, seen: Seen) -> None:
    row = seen("m")
    did("m", "move", "JunkEmail", ago=1, state=state)

    assert where_now([row])["m"].word == "delivered"


def test_of_a_move_that_left_a_copy_behind_that_copy_counts(seen: Seen) -> None:
    row = seen("m", to=("eva@corp.example", "max@corp.example"))
    did("m", "move", "JunkEmail", ago=1, state="partly_done", reached=["Eva@corp.example"])

    where = where_now([row])["m"]

    assert where.places == [("delivered", 1), ("junk", 1)]
    assert where.is_reachable
    assert where.says == "Delivered: 1 of 2 copies"


def test_each_copy_has_its_own_place(seen: Seen) -> None:
    row = seen(
        "m",
        to=("eva@corp.example", "max@corp.example", "uli@other.example", "zoe@corp.example"),
        delivery_status=(Status.QUARANTINED, Status.QUARANTINED, Status.DELIVERED, Status.BOUNCED),
    )
    assert where_now([row])["m"].places == [("delivered", 1), ("quarantined", 2), ("undelivered", 1)]
    inside = where_now([row], Scope(frozenset({"corp.example"})))["m"]
    assert not inside.is_reachable, "a copy elsewhere says where copies are that somebody may know of"
    did("m", "move", "JunkEmail", ago=1)

    assert where_now([row])["m"].places == [("junk", 3), ("undelivered", 1)]


def test_what_was_remembered_before_copies_had_places_is_told_once(seen: Seen) -> None:
    seen("m", to=("Eva@corp.example", "max@corp.example"), delivery_status=(Status.DELIVERED, Status.QUARANTINED))
    seen("n", to=("Eva@corp.example", "max@corp.example"), delivery_status=(Status.MOVED,))
    expected = list(SeenCopy.objects.order_by("pk").values_list("told", flat=True))
    SeenCopy.objects.update(told="")

    import_module("investigate.migrations.0015_where_each_copy_is").tell(apps, None)

    assert list(SeenCopy.objects.order_by("pk").values_list("told", flat=True)) == expected
    assert sorted(expected) == ["delivered", "moved", "moved", "quarantined"]


def test_the_history_holds_what_the_member_may_know(seen: Seen, ana: Member) -> None:
    seen("m")
    did("m", "move", "JunkEmail", ago=10)
    did("m", "release", ago=5)

    assert [act.word for act in history_of(ana, ["m", "other"])["m"].acts] == ["released", "moved"]
    ana.domains = ["elsewhere.example"]
    ana.save(update_fields=["domains"])
    assert history_of(Member.objects.get(pk=ana.pk), ["m"]) == {}
