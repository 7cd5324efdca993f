"""What a newcomer finds in the demo is made once, by the services that people use."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.management.commands.demo_example import VIEWS
from investigate.desk.cases import all_cases
from investigate.desk.notes import unseen_mentions
from investigate.models import Action, ActionState, Approval, CaseState, SavedView
from investigate.saved.asking import criteria_of, why_not

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo(settings: Any) -> None:
    settings.DEMO = True
    settings.SECOND_PERSON = frozenset({"purge", "release_malicious", "large"})
    call_command("demo_members", address="http://127.0.0.1", stdout=io.StringIO())


def test_there_are_shared_views_and_one_request_that_waits_for_a_second_person(demo: None, emailsec: Any) -> None:
    for _ in range(2):
        call_command("demo_example")

    shared = SavedView.objects.filter(is_shared=True, owner__username="ben")
    assert set(shared.values_list("name", flat=True)) == set(VIEWS)
    assert SavedView.objects.count() == len(VIEWS)
    assert [why_not(criteria_of(view), Member.objects.get(username="ben").scope) for view in shared] == [""] * 3
    request = Approval.objects.get()
    assert request.requested_by == Member.objects.get(username="ana")
    assert Action.objects.get().state == ActionState.AWAITING_APPROVAL
    assert AuditEvent.objects.filter(action="view:share").count() == len(VIEWS)


def test_colleagues_are_at_work(demo: None, emailsec: Any) -> None:
    for _ in range(2):
        call_command("demo_example")

    ana, ben = (Member.objects.get(username=name) for name in ("ana", "ben"))
    done = all_cases().filter(state=CaseState.DONE)
    assert done.exists()
    assert not done.filter(verdict="").exists()
    assert all_cases().filter(state=CaseState.NEW).exists(), "something is left for the newcomer"
    assert all_cases().get(state=CaseState.IN_WORK).holder == ben
    assert all_cases().get(state=CaseState.WAITING).holder == ana
    assert unseen_mentions(ben).count() == 1


def test_without_the_service_the_demo_begins_with_its_views(demo: None, emailsec: Any) -> None:
    emailsec.faults.next("search", times=None, status=403)
    said = io.StringIO()

    call_command("demo_example", stderr=said)

    assert SavedView.objects.count() == len(VIEWS)
    assert not Approval.objects.exists()
    assert "without colleagues at work" in said.getvalue()


def test_no_other_installation_gets_examples(settings: Any) -> None:
    settings.DEMO = False

    with pytest.raises(CommandError):
        call_command("demo_example")
