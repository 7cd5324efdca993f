"""Requests for a second person: switched on here, asked for and decided as people do it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.celery import app
from dashboard.emailsec.types import Message
from investigate.actions import sending
from investigate.models import Action, Approval
from tests.investigate.actions.conftest import Time, decide, find, time_

__all__ = ["Time", "decide", "find", "time_"]
PURGE = {"kind": "move", "destination": "RecoverableItemsPurges", "confirmed": "1", "reason": "ticket 4711"}


@pytest.fixture(autouse=True)
def takes_two(settings: Any) -> None:
    settings.SECOND_PERSON = frozenset({"purge", "release_malicious", "large"})


@pytest.fixture
def carla(db: None) -> Member:
    """A second responder."""
    return Member.objects.create_user(
        "carla", "carla@corp.example", "correct horse battery", role=Role.RESPONDER, first_name="Carla"
    )


@pytest.fixture
def other_responder(carla: Member) -> Client:
    return signed_in(carla)


@pytest.fixture
def clean(find: Callable[..., Message]) -> Message:
    return find(disposition="NONE", held=False, copies=1)


@pytest.fixture
def malicious(find: Callable[..., Message]) -> Message:
    return find(disposition="MALICIOUS", held=True)


@pytest.fixture
def bell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The queues of the messages that lie in the broker's folders, of this test alone."""
    monkeypatch.setitem(app.conf.broker_transport_options, "queue_folder", str(tmp_path / "queue"))
    return lambda: sorted(path.parent.name for path in (tmp_path / "queue").rglob("*.msg"))


@pytest.fixture
def purge(analyst: Client, clean: Message) -> Approval:
    """Ana asks to purge one message."""
    return asked(analyst, clean)


def signed_in(member: Member) -> Client:
    client = Client()
    client.force_login(member)
    return client


def asked(client: Client, message: Message, **values: str) -> Approval:
    """Ask for something on one message, through the form of its panel."""
    before = set(Approval.objects.values_list("pk", flat=True))
    url = reverse("investigate:act", args=[message.id])
    answer = client.post(url, {**PURGE, **values, "operation_key": uuid.uuid4().hex})
    assert answer.status_code == 303, answer.content.decode()
    return Approval.objects.exclude(pk__in=before).get()


def decision(client: Client, approval: Approval, what: str = "approve", **values: str) -> Any:
    """Press a button of the request's page."""
    url = reverse(f"investigate:{what}_request", args=[approval.pk])
    answer = client.post(url, {"fingerprint": approval.fingerprint, "comment": "", **values})
    approval.refresh_from_db()
    return answer


def all_is_due(action: Action) -> Action:
    """Whatever could be sent would be sent now, and a worker tries it."""
    Action.objects.filter(pk=action.pk).update(due_at=Now())
    sending.send(action.pk)
    action.refresh_from_db()
    return action
