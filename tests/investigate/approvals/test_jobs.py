"""Requests about many messages: jobs of ours, and those that Cloudflare carries out."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models.functions import Now
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit import words
from dashboard.audit.models import AuditEvent
from investigate import tasks
from investigate.bulk import engine, jobs
from investigate.bulk.upstream import sending as upstream
from investigate.desk import changes
from investigate.models import ActionState, Approval, ApprovalState, BulkJob, DeskChange, JobState, UpstreamJob
from tests.conftest import HTMX
from tests.investigate.approvals.conftest import all_is_due, decision, signed_in
from tests.investigate.bulk.truth import delivered, held, rehearsed
from tests.investigate.bulk.upstream_desk import SPAM, address, calls
from tests.investigate.bulk.upstream_desk import form as upstream_form

pytestmark = pytest.mark.django_db
Soup = Callable[[HttpResponse], BeautifulSoup]


def text(found: Any) -> str:
    return " ".join(found.get_text(" ").split())


@pytest.fixture(autouse=True)
def large_is_three(settings: Any) -> None:
    settings.LARGE_JOB = 3


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_IDS", 2)
    monkeypatch.setattr(engine, "STEP_SECONDS", 600.0)


def decide(client: Client, job: BulkJob) -> Approval | None:
    """Press the button below the rehearsal."""
    number = job.items.filter(state="queued").count()
    form = {"reason": "ticket 4711", "decision_key": uuid.uuid4().hex, "expected_count": number}
    answer = client.post(reverse("investigate:decide_job", args=[job.pk]), form)
    assert answer.status_code == 303, answer.content.decode()
    job.refresh_from_db()
    return Approval.objects.filter(job=job).first()


def asked(client: Client, job: BulkJob) -> Approval:
    approval = decide(client, job)
    assert approval is not None
    return approval


def runs(job: BulkJob, *, chunks: int = 100) -> BulkJob:
    """What a worker does now, however often it looks."""
    BulkJob.objects.filter(pk=job.pk).update(due_at=Now())
    engine.step(job.pk)
    job.refresh_from_db()
    return job


def lost(member: Member) -> None:
    Member.objects.filter(pk=member.pk).update(role=Role.VIEWER)


@pytest.fixture
def large(ana: Member, emailsec: Any) -> BulkJob:
    return rehearsed(ana, "move", delivered(emailsec, 5))


# --- jobs of ours -----------------------------------------------------------------------------------------------------


def test_an_analyst_asks_for_a_large_job_and_nothing_is_sent(
    large: BulkJob, analyst: Client, emailsec: Any, soup: Soup
) -> None:
    page = soup(analyst.get(reverse("investigate:job", args=[large.pk])))
    assert text(page.select_one("#decide .do button")) == "Ask for approval: Move 5 messages"

    approval = asked(analyst, large)
    runs(large)
    tasks.sweep()

    assert (large.state, approval.state) == (JobState.AWAITING_APPROVAL, ApprovalState.PENDING)
    assert approval.permissions == ["job:run_large"]
    assert len(emailsec.ledger) == 0
    row = AuditEvent.objects.get(action="approval:request")
    assert row.detail["messages"] == 5
    assert not AuditEvent.objects.filter(action="job:decide").exists()


def test_a_small_job_takes_one(ana: Member, analyst: Client, emailsec: Any) -> None:
    job = rehearsed(ana, "move", delivered(emailsec, 3))

    assert decide(analyst, job) is None
    assert runs(job).state == JobState.DONE


def test_where_it_takes_one_a_large_job_needs_the_right_for_it(
    settings: Any, large: BulkJob, analyst: Client, ana: Member, emailsec: Any
) -> None:
    settings.SECOND_PERSON = frozenset({"purge", "release_malicious"})

    with pytest.raises(PermissionDenied):
        jobs.decide(actor=ana, job=large, reason="ticket 4711", decision_key="k", expected_count=5, request=None)

    large.refresh_from_db()
    assert large.state == JobState.REHEARSAL


def test_the_page_shows_the_rehearsal_and_the_approved_job_goes_on_once(
    large: BulkJob, analyst: Client, responder: Client, emailsec: Any, soup: Soup
) -> None:
    approval = asked(analyst, large)
    assert analyst.get(reverse("investigate:job", args=[large.pk]))["Location"] == reverse(
        "investigate:approval", args=[approval.pk]
    )
    page = soup(responder.get(reverse("investigate:approval", args=[approval.pk])))
    assert text(page.h1) == "Ana asks: move 5 messages to Junk (ticket 4711)"
    assert page.select_one("#by-verdict")
    assert len(page.select("#sample tbody tr")) == 5
    assert text(page.select_one("#request-decide button.danger")) == "Approve: move 5 messages to Junk"
    assert responder.get(reverse("investigate:job", args=[large.pk]), {"sample": 1}, headers=HTMX).status_code == 200

    decision(responder, approval)
    large.refresh_from_db()
    assert large.state == JobState.WAITING
    runs(large)
    runs(large)

    assert large.state == JobState.DONE
    assert len({entry.investigate_id for entry in emailsec.ledger}) == 5
    assert calls(emailsec, "move") + calls(emailsec, "move_one") == 3
    trail = AuditEvent.objects.get(action="job:decide")
    assert (trail.actor_name, trail.detail["asked_by"], trail.detail["messages"]) == ("Ben", "Ana", 5)
    facts = text(soup(analyst.get(reverse("investigate:job", args=[large.pk]))).select_one("#about"))
    assert "Approved by Ben" in facts


@pytest.mark.matrix(70)
def test_changed_messages_are_not_what_was_shown(
    large: BulkJob, analyst: Client, responder: Client, emailsec: Any
) -> None:
    approval = asked(analyst, large)
    extra = large.items.first()
    assert extra is not None
    extra.pk, extra.investigate_id = None, "one-more"
    extra.save()

    assert decision(responder, approval).status_code == 409
    assert runs(large).state == JobState.AWAITING_APPROVAL
    assert len(emailsec.ledger) == 0


def test_a_job_taken_over_is_approved_by_a_third(
    large: BulkJob, ben: Member, carla: Member, analyst: Client, responder: Client, emailsec: Any
) -> None:
    approval = asked(analyst, large)
    BulkJob.objects.filter(pk=large.pk).update(actor=ben, actor_name="Ben")

    assert decision(responder, approval).status_code == 403, "it is Ben's now"
    assert decision(signed_in(carla), approval).status_code == 409, "she was shown it as Ana's"
    assert runs(large).state == JobState.AWAITING_APPROVAL


def test_a_refused_job_ends_and_says_why(
    large: BulkJob, analyst: Client, responder: Client, emailsec: Any, soup: Soup
) -> None:
    decision(responder, asked(analyst, large), "refuse", comment="too many")

    assert runs(large).state == JobState.CANCELLED
    assert set(large.items.values_list("state", flat=True)) == {ActionState.CANCELLED}
    page = text(soup(analyst.get(reverse("investigate:job", args=[large.pk]))).main)
    assert "Refused by Ben: too many. Nothing was sent." in page
    assert analyst.post(reverse("investigate:retry_job", args=[large.pk])).status_code == 409
    assert len(emailsec.ledger) == 0


def test_an_approved_job_that_was_undone_stays_so(
    large: BulkJob, analyst: Client, responder: Client, emailsec: Any
) -> None:
    approval = asked(analyst, large)
    decision(responder, approval)

    decision(responder, approval, "undo")
    decision(responder, approval)

    assert runs(large).state == JobState.CANCELLED
    assert len(emailsec.ledger) == 0


def half_done(job: BulkJob, monkeypatch: pytest.MonkeyPatch) -> BulkJob:
    """The worker stops after the first chunk."""
    with monkeypatch.context() as patch:
        patch.setattr(engine, "STEP_SECONDS", 0.0)
        return runs(job)


@pytest.mark.parametrize(
    ("who", "told"),
    [
        ("ana", "Ana no longer has the right to do this. Somebody who has can resume the job, and takes it over."),
        ("ben", "Ben approved this and no longer has the right to. Cancel the rest, and ask for it anew."),
    ],
)
@pytest.mark.matrix(62, 70)
def test_a_job_pauses_when_one_of_the_two_loses_the_right(
    who: str,
    told: str,
    large: BulkJob,
    analyst: Client,
    responder: Client,
    emailsec: Any,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    decision(responder, asked(analyst, large))
    half_done(large, monkeypatch)
    sent = len(emailsec.ledger)
    lost(request.getfixturevalue(who))

    runs(large)

    assert (large.state, large.explanation) == (JobState.PAUSED, told)
    assert len(emailsec.ledger) == sent


@pytest.mark.matrix(70)
def test_who_approved_a_job_does_not_take_it_over_as_well(
    large: BulkJob,
    ana: Member,
    carla: Member,
    analyst: Client,
    responder: Client,
    emailsec: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decision(responder, asked(analyst, large))
    half_done(large, monkeypatch)
    lost(ana)
    runs(large)
    resume = reverse("investigate:resume_job", args=[large.pk])

    assert responder.post(resume).status_code == 409
    assert signed_in(carla).post(resume).status_code == 303
    runs(large)

    assert (large.state, large.actor) == (JobState.DONE, carla)


def approved_before(approval: Approval, **ago: float) -> None:
    approval.refresh_from_db()
    Approval.objects.filter(pk=approval.pk).update(decided_at=timezone.now() - dt.timedelta(**ago))


def test_an_approval_has_an_end_also_for_a_job_under_way(
    large: BulkJob, analyst: Client, responder: Client, emailsec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = asked(analyst, large)
    decision(responder, approval)
    half_done(large, monkeypatch)
    sent = len(emailsec.ledger)
    approved_before(approval, hours=25)

    runs(large)

    assert (large.state, large.explanation) == (
        JobState.PAUSED,
        "Ben approved this more than 24 hours ago, which counts no longer. Cancel the rest, and ask for it anew.",
    )
    for name in ("resume_job", "retry_job"):
        answer = analyst.post(reverse(f"investigate:{name}", args=[large.pk]))
        assert answer.status_code == 409
        assert "which counts no longer" in answer.content.decode()
    assert runs(large).state == JobState.PAUSED
    assert len(emailsec.ledger) == sent


def test_a_job_paused_before_it_began_is_not_resumed_the_next_day(
    large: BulkJob, analyst: Client, responder: Client, emailsec: Any
) -> None:
    approval = asked(analyst, large)
    decision(responder, approval)
    assert analyst.post(reverse("investigate:pause_job", args=[large.pk])).status_code == 303
    approved_before(approval, hours=13)

    answer = analyst.post(reverse("investigate:resume_job", args=[large.pk]))

    assert answer.status_code == 409
    assert "cancel it, and collect again" in answer.content.decode()
    assert runs(large).state == JobState.PAUSED
    assert len(emailsec.ledger) == 0


def with_one_more(job: BulkJob) -> None:
    extra = job.items.filter(state="queued")[0]
    extra.pk, extra.action, extra.investigate_id = None, None, "one-more"
    extra.save()


def test_a_job_whose_messages_changed_after_its_approval_does_not_start(
    large: BulkJob, analyst: Client, responder: Client, emailsec: Any
) -> None:
    decision(responder, asked(analyst, large))
    with_one_more(large)

    runs(large)

    told = "It is not what Ben approved. Cancel the rest, and ask for it anew."
    assert (large.state, large.explanation) == (JobState.PAUSED, told)
    assert analyst.post(reverse("investigate:resume_job", args=[large.pk])).status_code == 409
    assert len(emailsec.ledger) == 0


def test_a_job_whose_messages_changed_while_it_was_paused_does_not_go_on(
    large: BulkJob, analyst: Client, responder: Client, emailsec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision(responder, asked(analyst, large))
    half_done(large, monkeypatch)
    pause, resume = (reverse(f"investigate:{name}_job", args=[large.pk]) for name in ("pause", "resume"))
    analyst.post(pause)
    assert analyst.post(resume).status_code == 303, "as it was approved"
    analyst.post(pause)
    with_one_more(large)

    answer = analyst.post(resume)

    assert answer.status_code == 409
    assert "It is not what Ben approved." in answer.content.decode()


def test_a_release_of_malicious_mail_in_a_job_takes_two(
    ana: Member, analyst: Client, responder: Client, emailsec: Any
) -> None:
    records = held(emailsec, 2)
    job = rehearsed(ana, "release", records)
    job.items.update(disposition="MALICIOUS")

    approval = asked(analyst, job)
    assert approval.permissions == ["message:release_malicious"]
    assert runs(job).state == JobState.AWAITING_APPROVAL
    decision(responder, approval)

    assert runs(job).state == JobState.DONE
    assert {entry.kind for entry in emailsec.ledger} == {"release"}


def test_a_purge_of_few_messages_takes_two(ana: Member, analyst: Client, emailsec: Any) -> None:
    job = rehearsed(ana, "move", delivered(emailsec, 2), destination="RecoverableItemsDeletions")

    assert asked(analyst, job).permissions == ["message:purge"]


# --- jobs at Cloudflare -----------------------------------------------------------------------------------------------


def started(client: Client, what: str = "JunkEmail") -> UpstreamJob:
    answer = client.post(address(SPAM), upstream_form(what))
    assert answer.status_code == 303, answer.content.decode()
    return UpstreamJob.objects.order_by("-created_at")[0]


def worked(job: UpstreamJob) -> UpstreamJob:
    UpstreamJob.objects.filter(pk=job.pk).update(due_at=Now())
    upstream.step(job.pk)
    job.refresh_from_db()
    return job


def test_a_large_job_at_cloudflare_takes_two_and_is_asked_for_once(
    analyst: Client, responder: Client, emailsec: Any, soup: Soup
) -> None:
    page = soup(analyst.get(address(SPAM)))
    assert text(page.select_one("form.form .do button")).startswith("Ask for approval: ")

    job = started(analyst)
    tasks.sweep()
    assert worked(job).state == ActionState.AWAITING_APPROVAL
    assert calls(emailsec, "bulk.create") == 0
    approval = Approval.objects.get(upstream_job=job)
    shown = text(soup(responder.get(reverse("investigate:approval", args=[approval.pk]))).main)
    assert f"{job.counted['messages']} messages" in shown
    assert "SPAM" in shown.upper()

    decision(responder, approval)
    worked(job)
    worked(job)

    assert job.state == ActionState.DONE
    assert calls(emailsec, "bulk.create") == 1


def test_a_small_one_takes_one_and_the_right_for_it(
    settings: Any, analyst: Client, responder: Client, emailsec: Any
) -> None:
    settings.LARGE_JOB = 1000

    assert analyst.post(address(SPAM), upstream_form()).status_code == 403
    assert started(responder).state == ActionState.WAITING
    assert not Approval.objects.exists()


def test_one_that_may_release_malicious_mail_takes_two_whatever_its_size(
    settings: Any, responder: Client, other_responder: Client, emailsec: Any
) -> None:
    settings.LARGE_JOB = 1000
    job = started(responder, "release")
    approval = Approval.objects.get(upstream_job=job)
    assert approval.permissions == ["message:release_malicious"]

    assert decision(responder, approval).status_code == 403
    decision(other_responder, approval)

    assert worked(job).state == ActionState.DONE


def test_it_is_not_asked_for_without_the_rights_of_both(
    analyst: Client, responder: Client, ben: Member, emailsec: Any
) -> None:
    job = started(analyst)
    decision(responder, Approval.objects.get(upstream_job=job))
    lost(ben)

    assert worked(job).state == ActionState.FAILED
    assert "Ben approved this and no longer has the right to." in job.explanation
    assert calls(emailsec, "bulk.create") == 0


@pytest.mark.parametrize("who", ["analyst", "responder"])
def test_both_can_undo_it(
    who: str, analyst: Client, responder: Client, emailsec: Any, request: pytest.FixtureRequest
) -> None:
    job = started(analyst)
    approval = Approval.objects.get(upstream_job=job)
    decision(responder, approval)

    assert decision(request.getfixturevalue(who), approval, "undo").status_code == 303

    assert worked(job).state == ActionState.CANCELLED
    assert calls(emailsec, "bulk.create") == 0


# --- what colleagues see ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["approve", "refuse", "withdraw"])
def test_pages_are_told_once_and_before_the_trail_is_held(
    what: str, large: BulkJob, analyst: Client, responder: Client
) -> None:
    approval = asked(analyst, large)
    known = changes.latest()

    with CaptureQueriesContext(connection) as captured:
        decision(analyst if what == "withdraw" else responder, approval, what, comment="too many")

    told = [row.investigate_ids for row in DeskChange.objects.filter(pk__gt=known)]
    assert [sorted(names) for names in told] == [sorted(large.items.values_list("investigate_id", flat=True))]
    written = [query["sql"].split('"')[1] for query in captured if query["sql"].startswith("INSERT INTO")]
    assert written.index("investigate_deskchange") < written.index("audit_auditevent")


def test_pages_are_told_of_a_job_that_is_undone_before_any_of_it_was_packed(
    large: BulkJob, analyst: Client, responder: Client
) -> None:
    approval = asked(analyst, large)
    decision(responder, approval)
    known = changes.latest()

    decision(analyst, approval, "undo")

    (row,) = DeskChange.objects.filter(pk__gt=known)
    assert len(row.investigate_ids) == 5


# --- what the trail says ----------------------------------------------------------------------------------------------


def test_each_row_about_a_request_names_whose_it_is_and_about_what(
    large: BulkJob, analyst: Client, responder: Client
) -> None:
    decision(responder, asked(analyst, large), "refuse", comment="too many")

    asking, refusing = AuditEvent.objects.filter(action__startswith="approval:").order_by("sequence")
    assert asking.targets == refusing.targets == [str(large.pk)]
    assert words.sentence(refusing) == "Refuse a request of Ana"


def test_a_purge_is_called_one_from_its_beginning_to_its_end(purge: Approval, responder: Client, emailsec: Any) -> None:
    decision(responder, purge)
    assert purge.action is not None
    all_is_due(purge.action)

    rows = AuditEvent.objects.filter(action="message:move").order_by("sequence")
    assert [row.phase for row in rows] == ["attempt", "done"]
    assert {words.sentence(row) for row in rows} == {"Move a message to the purged items (purge)"}


def refusals() -> list[tuple[str, str]]:
    rows = AuditEvent.objects.filter(action="access:refused").order_by("sequence")
    return [(row.actor_name, row.detail["because"]) for row in rows]


def test_what_was_refused_about_requests_and_jobs_is_written_down(
    large: BulkJob, analyst: Client, responder: Client, ben: Member, emailsec: Any
) -> None:
    theirs = rehearsed(ben, "move", delivered(emailsec, 2))
    number = {"reason": "ticket 4711", "decision_key": uuid.uuid4().hex, "expected_count": 2}
    assert analyst.post(reverse("investigate:decide_job", args=[theirs.pk]), number).status_code == 403
    assert analyst.post(reverse("investigate:cancel_job", args=[theirs.pk])).status_code == 403
    own = rehearsed(ben, "move", delivered(emailsec, 4))
    assert decision(responder, asked(responder, own)).status_code == 403

    assert [who for who, _ in refusals()] == ["Ana", "Ana", "Ben"]
    assert [why for _, why in refusals()][::2] == [
        "Ben rehearses this and decides it.",
        "You asked for this yourself: somebody else has to decide it.",
    ]
