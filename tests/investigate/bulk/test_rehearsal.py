"""What a rehearsal shows before anything is sent, and who may decide it."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.celery import app as celery_app
from dashboard.emailsec.transport import Priority
from dashboard.upstream.connection import shared_meter
from dashboard.upstream.features import SharedMissingFeatures
from investigate.bulk import collecting, jobs, rehearsal
from investigate.bulk.collecting import steps
from investigate.bulk.rehearsal import Summary, cost_of, rehearsal_of, summary_of
from investigate.bulk.upstream import queries
from investigate.models import Action, ActionItem, ActionKind, ActionState, BulkJob, JobSource, JobState
from tests.conftest import HTMX

pytestmark = pytest.mark.django_db

Soup = Callable[[HttpResponse], BeautifulSoup]
WHY = "ticket 4711"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery_app, "send_task", lambda *_, **__: None)


def begun(actor: Member, kind: str = "move", *, query: str = "last=7d", **values: Any) -> BulkJob:
    values = {"destination": "JunkEmail"} | values if kind == "move" else values
    return jobs.begin(
        actor=actor,
        source=JobSource.SEARCH,
        kind=ActionKind(kind),
        query=query,
        operation_key=uuid.uuid4().hex,
        request=None,
        **values,
    )


def rehearsed(actor: Member, kind: str = "move", *, query: str = "last=7d", **values: Any) -> BulkJob:
    job = begun(actor, kind, query=query, **values)
    collecting.collect(job.pk)
    return BulkJob.objects.get(pk=job.pk)


def filled(actor: Member, number: int, kind: str = "move", **fields: Any) -> BulkJob:
    """A rehearsal of made-up messages."""
    job = begun(actor, kind)
    fields = {
        "recipients": ["j@corp.example"],
        "disposition": "SPAM",
        "facts": {"delivery_status": ["delivered"], "from": "m@x.example"},
        "state": ActionState.QUEUED,
    } | fields
    claimed = steps.claim(job.pk)
    assert claimed is not None
    items = [ActionItem(job=job, investigate_id=f"a:{index}", **fields) for index in range(number)]
    assert steps.store(claimed, items=items, progress={})
    assert steps.collected(claimed)
    return BulkJob.objects.get(pk=job.pk)


def url(job: BulkJob) -> str:
    return reverse("investigate:job", args=[job.pk])


def decision(job: BulkJob, **values: Any) -> dict[str, Any]:
    return {
        "reason": WHY,
        "decision_key": uuid.uuid4().hex,
        "expected_count": job.counts.get("queued", 0),
        **values,
    }


def decide(client: Client, job: BulkJob, *, headers: dict[str, str] | None = None, **values: Any) -> HttpResponse:
    return client.post(reverse("investigate:decide_job", args=[job.pk]), decision(job, **values), headers=headers)


def state_of(job: BulkJob) -> str:
    return BulkJob.objects.get(pk=job.pk).state


# --- what it shows ---


def test_the_sentence_comes_first_and_the_button_repeats_the_number(emailsec, ana, analyst: Client, soup: Soup):
    job = rehearsed(ana)
    number, copies = job.counts["queued"], summary_of(job).copies
    page = soup(analyst.get(url(job)))

    assert page.h1.get_text() == f"Move {number} messages, {copies} copies, to Junk, as Ana"
    assert page.select_one("#decide button").get_text() == f"Move {number} messages"
    assert page.select_one("#decide [name=expected_count]")["value"] == str(number)
    assert "1 call, about 4 s at a guess." in page.select_one("#decide").get_text()


def test_the_counts_add_up(emailsec, ana):
    job = rehearsed(ana, query="last=30d")
    summary = summary_of(job)

    assert sum(summary.by_disposition.values()) == sum(summary.by_state.values()) == summary.messages
    assert sum(domain.copies for domain in summary.by_domain) + summary.other_copies == summary.copies
    assert sum(number for _, number in summary.cannot) + summary.messages == sum(job.counts.values())


def test_the_ten_largest_domains_and_the_rest(ana):
    job = filled(ana, 1)
    ActionItem.objects.filter(job=job).update(
        recipients=[f"a@d{number}.example" for number in range(12)] * 2 + ["b@D1.example"]
    )

    summary = rehearsal._add_up(job)

    assert summary.by_domain[0].name == "d1.example"
    assert (len(summary.by_domain), summary.other_domains, summary.other_copies, summary.copies) == (10, 2, 4, 25)


def test_what_cannot_work_is_told_with_its_reason(emailsec, ana, analyst: Client, soup: Soup):
    job = rehearsed(ana)
    page = soup(analyst.get(url(job)))

    left_out = page.select_one("section[aria-labelledby=cannot]").get_text(" ", strip=True)
    assert f"{job.counts['skipped']} messages cannot be moved and are left out" in left_out
    assert "The message is in quarantine; release it first." in left_out


def test_ten_are_drawn_by_lot_and_stay_the_same_on_a_reload(ana, analyst: Client, soup: Soup):
    job = filled(ana, 35)

    def sample(address: str) -> list[str]:
        return [link["href"] for link in soup(analyst.get(address)).select(".sample a")]

    first, again = sample(url(job)), sample(url(job))
    others = [sample(f"{url(job)}?sample={number}") for number in range(4)]

    assert first == again == others[0]
    assert [len(some) for some in others] == [10, 10, 10, 5]
    assert len(set().union(*others)) == 35
    assert sample(f"{url(job)}?sample=4") == first
    assert sample(f"{url(job)}?sample=-1") == sample(f"{url(job)}?sample=x") == first


def test_the_other_ten_come_alone_for_htmx(ana, analyst: Client, soup: Soup):
    job = filled(ana, 25)
    page = soup(analyst.get(f"{url(job)}?sample=1", headers=HTMX))

    assert page.select_one("#sample")
    assert not page.select_one("#decide")


def test_messages_others_act_on_stay_and_are_told(emailsec, ana, ben, analyst: Client, soup: Soup):
    job = filled(ana, 5)
    action = Action.objects.create(
        operation_key="other-one", fingerprint="x", actor=ben, actor_name="Ben", kind=ActionKind.RELEASE,
        created_at=timezone.now(), due_at=timezone.now(),
    )  # fmt: skip
    for name in ("a:1", "a:2", "z:9"):
        ActionItem.objects.create(action=action, investigate_id=name, state=ActionState.SENDING)

    page = soup(analyst.get(url(job)))

    assert "2 are being handled by others now; what they finish first is skipped." in page.get_text()
    assert "Move 5 messages" in page.h1.get_text()


def test_the_limit_and_a_changed_list_are_told(ana, analyst: Client, soup: Soup):
    job = filled(ana, 3)
    BulkJob.objects.filter(pk=job.pk).update(progress={"is_limited": True, "has_changed": True})

    text = soup(analyst.get(url(job))).select_one(".remarks").get_text()

    assert "the first 3 were taken" in text
    assert "may have changed" in text


def test_what_a_paste_named_and_nobody_found_is_told(ana, analyst: Client, soup: Soup):
    job = filled(ana, 2)
    missing = [{"text": f"<{number}@x>", "kind": "message_id", "why": "No message."} for number in range(60)]
    BulkJob.objects.filter(pk=job.pk).update(not_found=missing, not_found_count=1200)

    text = soup(analyst.get(url(job))).select_one(".missing").get_text(" ", strip=True)

    assert "1,200 terms not found" in text
    assert "<49@x>" in text
    assert "<50@x>" not in text
    assert "And 1,150 more." in text


def test_nothing_found_leads_back_to_the_search(emailsec, ana, analyst: Client, soup: Soup):
    job = rehearsed(ana, query="sender=nobody.invalid&last=7d")
    page = soup(analyst.get(url(job)))

    assert page.h1.get_text() == "No message was found"
    assert not page.select_one("#decide")
    assert "sender=nobody.invalid" in page.select_one("a.primary")["href"]


def test_nothing_that_can_be_done_says_why(ana, analyst: Client, soup: Soup):
    job = filled(ana, 4, state=ActionState.SKIPPED, explanation="The message was purged.")
    page = soup(analyst.get(url(job)))

    assert page.h1.get_text() == "No message can be acted on"
    assert "The message was purged." in page.get_text()
    assert not page.select_one("#decide")


def test_mail_is_shown_as_text(ana, analyst: Client):
    evil = "<img src=x onerror=alert(1)>\u202e"
    job = filled(
        ana,
        1,
        subject=evil,
        disposition="<b>",
        recipients=["a@<script>"],
        facts={"from": evil, "delivery_status": ["<i>"]},
    )

    page = analyst.get(url(job)).content.decode()

    assert not re.search(r"<img src=x|<script>\W|\u202e|<i>", page)
    assert "&lt;img src=x onerror=alert(1)&gt;[U+202E]" in page


# --- what it costs ---


def test_calls_follow_the_size_of_a_chunk(ana):
    assert cost_of(BulkJob(kind="move"), 9214).calls == 10
    assert cost_of(BulkJob(kind="release"), 9214).calls == 93
    assert cost_of(BulkJob(kind="move"), 9214).told == "10 calls, about 40 s"


def test_the_rate_is_measured_where_there_is_something_to_measure(ana):
    job = filled(ana, 1)
    sent = timezone.now() - dt.timedelta(hours=1)
    for number in (1, 2):
        Action.objects.create(
            job=job, number=number, operation_key=f"chunk-{number}", fingerprint="x", actor=ana, kind=ActionKind.MOVE,
            created_at=sent, due_at=sent, sent_at=sent, finished_at=sent + dt.timedelta(seconds=2),
            state=ActionState.DONE,
        )  # fmt: skip

    cost = cost_of(job, 9214)

    assert (cost.told, cost.is_measured) == ("10 calls, about 20 s", True)


def test_a_budget_that_is_used_up_is_waited_for(ana, analyst: Client, soup: Soup):
    job = filled(ana, 3)
    meter = shared_meter()
    meter.freeze(200)

    cost = cost_of(job, 3)
    page = soup(analyst.get(url(job)))

    assert cost.waits_until is not None
    assert (cost.waits_until - timezone.now()).total_seconds() == pytest.approx(200, abs=3)
    assert "Waits for budget until" in page.select_one("#decide").get_text()


def test_the_part_of_the_budget_that_is_kept_for_people_is_not_counted_on(monkeypatch, ana):
    monkeypatch.setattr(settings, "CALL_LIMIT", 20)
    job = filled(ana, 3)
    for _ in range(16):
        shared_meter().reserve(Priority.BULK)
    assert cost_of(job, 3).waits_until is None
    shared_meter().reserve(Priority.BULK)

    waits_until = cost_of(job, 3).waits_until

    assert waits_until is not None
    assert (waits_until - timezone.now()).total_seconds() == pytest.approx(300, abs=10)


def test_more_calls_than_the_budget_take_as_long_as_it_needs_to_come_back(ana):
    share = int(settings.CALL_LIMIT * 0.85)
    cost = cost_of(BulkJob(kind="release"), 100 * share * 2)

    assert cost.waits_until is None
    assert cost.seconds >= 300


def test_a_release_that_reads_each_verdict_again_says_what_that_costs(ana: Member, ben: Member, settings: Any) -> None:
    mine, bens = filled(ana, 5, "release"), filled(ben, 5, "release")
    assert [rehearsal_of(job, job.actor).cost.calls for job in (mine, bens)] == [6, 1]

    settings.SECOND_PERSON = frozenset({"release_malicious"})
    assert rehearsal_of(bens, ben).cost.calls == 6, "not even Ben may do it alone"
    assert rehearsal_of(filled(ben, 5, "release", disposition="MALICIOUS"), ben).cost.calls == 1, "asked for"


# --- dangers and rights ---


def test_mail_without_a_clear_verdict_is_told_as_a_danger(ben, responder: Client, soup: Soup):
    page = soup(responder.get(url(filled(ben, 3, "release", disposition="UNKNOWN"))))

    assert "No clear verdict on 3 of them: they count as Malicious." in page.select_one(".dangers").get_text()


def test_malicious_mail_and_purges_are_told_as_dangers(ben, responder: Client, soup: Soup):
    release = filled(ben, 3, "release", disposition="MALICIOUS")
    purge = filled(ben, 1, "move")
    BulkJob.objects.filter(pk=purge.pk).update(destination="RecoverableItemsPurges")

    page = soup(responder.get(url(release)))
    assert "3 of them are messages that Cloudflare calls Malicious or BEC." in page.select_one(".dangers").get_text()
    assert page.select_one("#decide button")["class"] == ["danger"]
    page = soup(responder.get(url(purge)))
    assert "only an administrator can restore it" in page.select_one(".dangers").get_text()
    assert page.select_one("#decide button").get_text() == "Purge 1 message"


def test_a_large_job_needs_a_right_and_the_page_says_whose(monkeypatch, ana, analyst: Client, soup: Soup):
    monkeypatch.setattr(settings, "LARGE_JOB", 4)
    job = filled(ana, 5)

    page = soup(analyst.get(url(job)))
    button = page.select_one("#decide button")

    assert button.has_attr("disabled")
    assert page.select_one("#why-not").get_text() == (
        "Your role may not run a job of this size: ask a responder. This is 5; without that right 4 is the most."
    )
    assert not page.select_one("#decide [name=reason]")
    assert decide(analyst, job).status_code == 403
    assert state_of(job) == JobState.REHEARSAL


def test_somebody_elses_rehearsal_is_for_reading(ana, responder: Client, viewer: Client, soup: Soup):
    job = filled(ana, 2)

    for client in (responder, viewer):
        page = soup(client.get(url(job)))
        assert "Move 2 messages" in page.h1.get_text()
        assert page.select_one("#decide button").has_attr("disabled")
    assert "Ana rehearses this and decides it." in soup(responder.get(url(job))).get_text()
    assert "Your role may not act on many messages at once" in soup(viewer.get(url(job))).get_text()
    assert not soup(viewer.get(url(job))).select("form.discard, form.again")


# --- while it is collected ---


def test_while_collecting_the_page_says_how_many_and_asks_again(
    monkeypatch, emailsec, ana, analyst: Client, soup: Soup
):
    monkeypatch.setattr(collecting, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(collecting.walking, "PER_PAGE", 5)
    job = begun(ana)
    collecting.collect(job.pk)
    page = soup(analyst.get(url(job)))
    section = page.select_one("#rehearsal")

    assert "5 messages found so far" in section.get_text()
    assert page.h1.get_text() == "Move messages to Junk"
    assert section["hx-trigger"] == "every 1s"
    assert analyst.get(section["hx-get"], headers=HTMX).status_code == 204
    collecting.collect(job.pk)
    fragment = soup(analyst.get(section["hx-get"], headers=HTMX))
    assert "10 messages found so far" in fragment.get_text()


def test_the_last_answer_is_the_rehearsal_and_asks_no_more(emailsec, ana, analyst: Client, soup: Soup):
    job = begun(ana)
    section = soup(analyst.get(url(job))).select_one("#rehearsal")
    collecting.collect(job.pk)
    fragment = soup(analyst.get(section["hx-get"], headers=HTMX))

    assert fragment.select_one("#rehearsal #decide")
    assert not fragment.select_one("#rehearsal").has_attr("hx-trigger")
    assert "Nothing is sent yet." in fragment.select_one("[hx-swap-oob='innerHTML:#status']").get_text()
    assert fragment.select_one("#footer")


def test_a_page_that_waits_long_asks_less_often(emailsec, ana, analyst: Client, soup: Soup):
    job = begun(ana)
    section = soup(analyst.get(url(job))).select_one("#rehearsal")
    earlier = int(timezone.now().timestamp()) - 60
    address = re.sub(r"since=\d+", f"since={earlier}", section["hx-get"])

    assert soup(analyst.get(address, headers=HTMX)).select_one("#rehearsal")["hx-trigger"] == "every 2s"


def test_what_collecting_waits_for_is_told_with_its_time(emailsec, ana, analyst: Client, soup: Soup):
    emailsec.faults.next("search", status=429, retry_after=90)
    job = rehearsed(ana)
    text = soup(analyst.get(url(job))).select_one("#rehearsal").get_text(" ", strip=True)

    assert job.state == JobState.COLLECTING
    assert f"is used up. Goes on {job.due_at:%H:%M:%S}" in text
    assert "Waiting" in text


def test_a_page_left_open_follows_the_job_when_it_was_decided_elsewhere(ana, analyst: Client):
    job = filled(ana, 2)
    decide(analyst, job)
    answer = analyst.get(reverse("investigate:rehearsal_progress", args=[job.pk]), headers=HTMX)

    assert answer["HX-Redirect"] == url(job)


def test_without_htmx_the_progress_is_the_page(ana, analyst: Client):
    job = filled(ana, 2)
    answer = analyst.get(reverse("investigate:rehearsal_progress", args=[job.pk]))
    assert (answer.status_code, answer["Location"]) == (303, url(job))


def test_what_could_not_be_collected_says_why_and_leads_back(emailsec, ana, analyst: Client, soup: Soup):
    emailsec.faults.next("search", status=403, times=None)
    job = rehearsed(ana)
    page = soup(analyst.get(url(job)))

    assert page.h1.get_text() == "Move messages to Junk: not collected"
    assert "the API token may not do this" in page.select_one(".failed").get_text()
    assert page.select_one(".do a.button")["href"].startswith(reverse("investigate:search") + "?")


def test_what_could_not_be_collected_is_tried_again_by_one_button(emailsec, ana, analyst: Client, soup: Soup):
    emailsec.faults.next("search", status=403, times=1)
    failed = rehearsed(ana, reason="ticket 4711")
    form = soup(analyst.get(url(failed))).select_one("form[action$=recollect]")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    first, second = analyst.post(form["action"], fields), analyst.post(form["action"], fields)

    job = BulkJob.objects.exclude(pk=failed.pk).get()
    assert first["Location"] == second["Location"] == url(job)
    same = ("source", "kind", "destination", "expected_disposition", "query", "reason", "actor_id")
    assert [getattr(job, name) for name in same] == [getattr(failed, name) for name in same]
    assert job.input.terms == failed.input.terms
    collecting.collect(job.pk)
    assert state_of(job) == JobState.REHEARSAL
    assert state_of(failed) == JobState.FAILED


def test_trying_again_is_for_what_failed_and_for_who_may(emailsec, ana, ben, analyst: Client, responder: Client, soup):
    collected, key = filled(ana, 2), {"operation_key": uuid.uuid4().hex}
    assert analyst.post(reverse("investigate:recollect_job", args=[collected.pk]), key).status_code == 409

    emailsec.faults.next("search", status=403, times=1)
    purge = rehearsed(ben, destination="RecoverableItemsPurges")
    address = reverse("investigate:recollect_job", args=[purge.pk])
    assert soup(responder.get(url(purge))).select("form[action$=recollect]")
    assert not soup(analyst.get(url(purge))).select("form[action$=recollect]")
    assert analyst.post(address, key).status_code == 403
    assert responder.post(address, {"operation_key": "short"}).status_code == 422
    assert BulkJob.objects.count() == 2


INSTEAD = f"a[href^='{reverse('investigate:new_upstream_job')}?']"
RANGE = "start=2026-11-01T00:00:00Z&end=2026-11-20T00:00:00Z"


@pytest.mark.parametrize(
    ("kind", "query", "is_offered"),
    [
        ("move", f"subject=invoice&{RANGE}", True),
        ("release", f"disposition=SPAM&{RANGE}", True),
        ("reclassify", f"subject=invoice&{RANGE}", False),
        ("move", f"disposition=SPAM&disposition=BULK&{RANGE}", False),
        ("move", RANGE, False),
    ],
)
def test_what_cloudflare_could_do_itself_leads_there(
    ben, responder: Client, soup: Soup, kind: str, query: str, is_offered: bool
):
    job = filled(ben, 3)
    BulkJob.objects.filter(pk=job.pk).update(source=JobSource.SEARCH, query=query, kind=kind)
    links = soup(responder.get(url(job))).select(INSTEAD)
    assert [link["href"].partition("?")[2] for link in links] == [query] * is_offered


def test_only_who_may_use_it_is_led_to_cloudflare_and_only_where_it_exists(
    ana, ben, analyst: Client, responder: Client, soup: Soup
):
    job = filled(ana, 3)
    BulkJob.objects.filter(pk=job.pk).update(source=JobSource.SEARCH, query=f"subject=invoice&{RANGE}")
    assert not soup(analyst.get(url(job))).select(INSTEAD)
    assert soup(responder.get(url(job))).select(INSTEAD)
    SharedMissingFeatures(settings.CLOUDFLARE_ACCOUNT_ID).remember(queries.FEATURE)
    assert not soup(responder.get(url(job))).select(INSTEAD)


def test_a_job_of_another_account_is_not_here(ana, analyst: Client):
    job = filled(ana, 2)
    BulkJob.objects.update(account_id="f" * 32)

    assert decide(analyst, job).status_code == 404
    assert analyst.get(reverse("investigate:rehearsal_progress", args=[job.pk]), headers=HTMX).status_code == 404


# --- deciding ---


@pytest.mark.parametrize("headers", [None, HTMX])
def test_a_decision_leads_to_the_job(ana, analyst: Client, headers):
    job = filled(ana, 3)
    answer = decide(analyst, job, headers=headers)

    assert answer["HX-Redirect" if headers else "Location"] == url(job)
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.WAITING, WHY)


@pytest.mark.parametrize("headers", [None, HTMX])
@pytest.mark.parametrize("reason", ["", "   x   "])
def test_without_a_reason_the_form_comes_back_as_it_was(ana, analyst: Client, soup: Soup, headers, reason):
    job = filled(ana, 3)
    answer = decide(analyst, job, headers=headers, reason=reason, decision_key="my-own-key")
    page = soup(answer)

    assert answer.status_code == 422
    assert "Say in a few words why, or name the ticket." in page.select_one(".errors").get_text()
    assert page.select_one("[name=decision_key]")["value"] == "my-own-key"
    assert page.select_one("[name=reason]")["aria-invalid"] == "true"
    assert state_of(job) == JobState.REHEARSAL


def test_another_number_than_was_read_is_refused(ana, analyst: Client):
    job = filled(ana, 3)
    answer = decide(analyst, job, headers=HTMX, expected_count=4)

    assert answer.status_code == 409
    assert answer["HX-Retarget"] == "#notice"
    assert "The job has 3 messages now, not 4. Nothing was sent." in answer.content.decode()
    assert state_of(job) == JobState.REHEARSAL


def test_the_same_decision_sent_twice_is_one(ana, analyst: Client):
    job = filled(ana, 3)
    first = decide(analyst, job, decision_key="one-and-the-same")
    version = BulkJob.objects.get(pk=job.pk).version
    second = decide(analyst, job, decision_key="one-and-the-same")

    assert (first.status_code, second.status_code) == (303, 303)
    assert BulkJob.objects.get(pk=job.pk).version == version


def test_a_second_decision_is_told_that_it_was_decided(ana, analyst: Client):
    job = filled(ana, 3)
    decide(analyst, job)
    answer = decide(analyst, job)

    assert answer.status_code == 409
    assert "decided or discarded already" in answer.content.decode()


def test_a_discarded_rehearsal_cannot_be_decided(ana, analyst: Client):
    job = filled(ana, 3)
    assert analyst.post(reverse("investigate:cancel_job", args=[job.pk])).status_code == 303

    assert decide(analyst, job, reason="x").status_code == 409
    assert decide(analyst, job).status_code == 409
    assert state_of(job) == JobState.CANCELLED


def test_nobody_decides_what_another_rehearses(ana, responder: Client, admin: Client, viewer: Client):
    job = filled(ana, 3)

    assert decide(responder, job).status_code == 403
    assert "Ana rehearses this and decides it." in decide(responder, job, headers=HTMX).content.decode()
    assert decide(admin, job).status_code == 403
    assert decide(viewer, job).status_code == 403
    assert state_of(job) == JobState.REHEARSAL


def test_who_lost_the_right_since_decides_nothing(ben, responder: Client):
    job = filled(ben, 3, "release", disposition="MALICIOUS")
    Member.objects.filter(pk=ben.pk).update(role=Role.ANALYST)

    assert decide(responder, job).status_code == 403
    assert state_of(job) == JobState.REHEARSAL


def test_a_rehearsal_of_nothing_cannot_be_decided(ana, analyst: Client):
    job = filled(ana, 3, state=ActionState.SKIPPED, explanation="no")

    assert decide(analyst, job, expected_count=0).status_code == 422
    assert decide(analyst, job, expected_count=3).status_code == 422
    assert state_of(job) == JobState.REHEARSAL


def test_another_action_on_the_same_messages_is_another_rehearsal(ana, analyst: Client, soup: Soup):
    job = filled(ana, 3)
    form = soup(analyst.get(url(job))).select_one("form.again")
    fields = {field["name"]: field.get("value") for field in form.select("input")} | {"what": "move:DeletedItems"}

    answer = analyst.post(form["action"], fields)

    other = BulkJob.objects.exclude(pk=job.pk).get()
    assert answer["Location"] == url(other)
    collecting.collect(other.pk)
    other.refresh_from_db()
    assert (other.destination, other.counts) == ("DeletedItems", {"queued": 3})


# --- size ---


def test_the_sums_of_many_messages_are_quick_and_kept(ana, django_assert_max_num_queries):
    job = filled(ana, 2000, recipients=["a@x.example", "b@y.example"])
    assert isinstance(summary_of(job), Summary)
    job = BulkJob.objects.get(pk=job.pk)

    with django_assert_max_num_queries(25):
        shown = rehearsal_of(job, ana)
    assert (shown.messages, shown.summary.copies) == (2000, 4000)
