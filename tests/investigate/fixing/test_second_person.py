"""Malicious mail that somebody thinks harmless: the release waits for a second person, and everything after it too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from investigate.approvals import services as approvals
from investigate.fixing import services
from investigate.fixing.services import Conflict
from investigate.models import ActionState, Fix
from tests.investigate.fixing.conftest import Worker, effects, states, step

pytestmark = pytest.mark.django_db
PutRight = Callable[..., Fix]


@pytest.fixture
def malicious(find: Callable[..., Message], settings: Any) -> Message:
    settings.SECOND_PERSON = frozenset({"release_malicious"})
    return find("MALICIOUS", proven=None)


def test_nothing_goes_on_until_a_second_person_agrees(
    ana: Member, ben: Member, malicious: Message, put_right: PutRight, worker: Worker, emailsec: Any
) -> None:
    fix = worker.runs(put_right(ana, malicious))
    waiting = step(fix, "release").action

    assert waiting is not None
    assert waiting.state == ActionState.AWAITING_APPROVAL
    assert states(fix) == {"release": "running", "submit_clean": "planned"}
    assert effects(emailsec, malicious) == {"release": 0, "submission": 0, "rule": 0}
    approval = waiting.approval
    approvals.approve(actor=ben, approval=approval, fingerprint=approval.fingerprint, request=None)
    worker.runs(fix)

    assert states(fix) == {"release": "done", "submit_clean": "done"}
    assert effects(emailsec, malicious) == {"release": len(malicious.client_recipients), "submission": 1, "rule": 0}


@pytest.mark.parametrize("who", ["refused", "withdrawn"])
def test_without_agreement_all_of_it_is_off(
    ana: Member, ben: Member, malicious: Message, put_right: PutRight, worker: Worker, emailsec: Any, who: str
) -> None:
    fix = put_right(ana, malicious)
    waiting = step(fix, "release").action
    assert waiting is not None
    with pytest.raises(Conflict, match="withdraw the request instead"):
        services.undo(actor=ana, fix=fix, request=None)

    if who == "refused":
        approvals.refuse(actor=ben, approval=waiting.approval, comment="It is not harmless.", request=None)
    else:
        approvals.withdraw(actor=ana, approval=waiting.approval, request=None)
    worker.runs(fix)

    assert states(fix) == {"release": "cancelled", "submit_clean": "cancelled"}
    assert fix.finished_at
    assert effects(emailsec, malicious) == {"release": 0, "submission": 0, "rule": 0}


def test_the_panel_and_the_page_say_that_it_waits(
    analyst: Client, ana: Member, malicious: Message, put_right: PutRight, soup: Any
) -> None:
    panel = soup(analyst.get(f"/investigate/{malicious.id}/put-right"))
    assert "It waits for a second person, and so do the steps after it." in panel.get_text(" ")

    fix = put_right(ana, malicious)
    page = soup(analyst.get(f"/investigate/fixes/{fix.pk}/"))

    assert page.select_one("#fix .timeline .state")["data-state"] == "awaiting_approval"
    assert "Waits for a second person." in page.get_text(" ")
    assert not page.select("#undo-fix")


def test_who_may_release_malicious_mail_alone_does(
    ben: Member, malicious: Message, put_right: PutRight, worker: Worker, settings: Any
) -> None:
    settings.SECOND_PERSON = frozenset()

    assert states(worker.runs(put_right(ben, malicious))) == {"release": "done", "submit_clean": "done"}
