"""The list of submissions and what people do with one: through the real client, against the simulator."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from investigate.actions.sending import send
from investigate.desk import cases
from investigate.models import (
    Action,
    ActionItem,
    ActionState,
    Case,
    CaseReport,
    CaseSource,
    CaseState,
    OwnVerdict,
    SeenSubmission,
    SubmissionAnswer,
)
from investigate.submissions import answering
from tests.conftest import HTMX

pytestmark = pytest.mark.django_db
URL = "/investigate/submissions/"
Soup = Callable[[Any], BeautifulSoup]


@pytest.fixture
def entries(emailsec: Simulator) -> dict[str, Any]:
    """What the simulated account holds, by id: of the last hour a request that was accepted, and one that was not."""
    api, now = emailsec.submissions, timezone.now().timestamp()
    judged = [record for record in emailsec.store.records if record.alert_id and record.message_id]
    for record, answer in zip(judged, ("SPAM", "BULK"), strict=False):
        entry = api._add(record, now - 3600, "", "SPAM", by_team=True)
        entry.decided_at, entry.outcome_disposition = now - 1800, answer
    if all(entry.by_team for entry in api.submissions.values()):
        api._add(judged[0], now - 3600, judged[0].client_recipients[0], "SPAM", by_team=False)
    return api.submissions


def _key() -> str:
    return uuid.uuid4().hex


def _report(entries: dict[str, Any]) -> Any:
    """A user's report of a message with an alert."""
    return next(entry for entry in entries.values() if not entry.by_team and entry.record.alert_id)


def _original(client: Client, entry: Any) -> str:
    return client.get(f"{URL}{entry.submission_id}/original", headers=HTMX).content.decode()


def _calls(emailsec: Simulator) -> int:
    return sum(call.method == "GET" and call.path.endswith("/submissions") for call in emailsec.calls)


def _send(action: Action) -> Action:
    """What a worker does once the time to undo is over."""
    Action.objects.filter(pk=action.pk).update(due_at=timezone.now() - dt.timedelta(seconds=1))
    send(action.pk)
    action.refresh_from_db()
    return action


def test_three_verdicts_and_three_states_stand_in_places_of_their_own(analyst, entries, soup: Soup):
    page = soup(analyst.get(URL))

    row = page.select_one("#rows tr")
    entry = entries[row["data-id"]]
    assert row.select_one(".c-was .chip")["data-verdict"] == entry.original
    assert row.select_one(".c-asked .ours") is not None
    assert row.select_one(".c-clock").text
    assert {header.text for header in page.select("thead th")[-4:]} == {
        "Asked for", "Answer", "Processing", "Review, ours",
    }  # fmt: skip
    assert all(entries[line["data-id"]].by_team for line in page.select("#rows tr"))


def test_what_became_of_it_is_said_in_words_apart_from_the_processing(analyst, emailsec, entries, soup: Soup):
    judged = next(record for record in emailsec.store.records if record.alert_id and record.message_id)
    waits = emailsec.submissions._add(judged, timezone.now().timestamp() - 7200, "", "SPAM", by_team=True)
    waits.decided_at = timezone.now().timestamp() + 7200

    page = soup(analyst.get(f"{URL}?last=24h"))

    rows = page.select("#rows tr")
    said = {row.select_one(".c-answer [data-became]").text: row for row in rows}
    assert set(said) == {"accepted", "rejected", "open"}
    assert all(word == row.select_one("[data-became]")["data-became"] for word, row in said.items())
    assert not page.select(".c-clock [data-became]")
    assert said["accepted"].select_one(".c-clock bdi").text == "completed"
    (ours,) = (row for row in rows if row["data-id"] == waits.submission_id)
    assert ours.select_one(".c-clock .second").text == "waiting since 2 h"


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("type=USER", lambda entry: not entry.by_team),
        ("type=BOTH&status=reviewed", lambda entry: entry.customer_status() == "reviewed"),
        ("type=BOTH&requested_disposition=SPAM", lambda entry: entry.requested_disposition == "SPAM"),
        ("type=BOTH&outcome_disposition=SPAM", lambda entry: entry.outcome_disposition == "SPAM"),
        ("type=BOTH&original_disposition={was}", lambda entry: entry.original != "NONE"),
        ("type=BOTH&escalated_from_user=no", lambda entry: entry.escalates is None),
        ("type=BOTH&answer=accepted", lambda entry: entry.outcome_disposition == entry.requested_disposition),
    ],
    ids=["users", "reviewed", "asked for", "answered", "was", "escalated", "accepted"],
)
def test_each_filter_cuts_the_list(analyst, emailsec, entries, soup: Soup, query: str, fits: Callable[..., bool]):
    analyst.get(f"{URL}?type=BOTH&last=90d")  # what the memory answers from

    was = next(entry.original for entry in entries.values() if entry.original != "NONE")
    page = soup(analyst.get(f"{URL}?{query.format(was=was)}&last=90d"))

    shown = [entries[row["data-id"]] for row in page.select("#rows tr")]
    assert shown
    assert all(fits(entry) for entry in shown)
    assert len({entry.original for entry in shown}) == 1 or "original" not in query


@pytest.mark.parametrize("order", ["subject", "requested_disposition", "submission_id", "requested_at"])
def test_the_api_orders_the_list_in_both_directions(analyst, entries, soup: Soup, order: str):
    up, down = (
        [row["data-id"] for row in soup(analyst.get(f"{URL}?order={order}&direction={way}")).select("#rows tr")]
        for way in ("asc", "desc")
    )

    assert len(up) > 1
    assert up[0] != down[0]


def test_what_an_address_cannot_mean_is_named(analyst, emailsec, soup: Soup):
    page = soup(analyst.get(f"{URL}?requested_disposition=WORSE&foo=bar"))

    assert "requested_disposition=WORSE" in page.text
    assert "foo=bar" in page.text


def test_viewers_share_one_call(analyst, responder, emailsec, entries, soup: Soup):
    for client in (analyst, responder, analyst):
        assert soup(client.get(URL)).select("#rows tr")

    assert _calls(emailsec) == 1
    analyst.get(f"{URL}?type=USER")
    assert _calls(emailsec) == 2


def test_what_we_remember_stands_in_while_the_api_does_not_answer(analyst, emailsec, entries, soup: Soup):
    shown = len(soup(analyst.get(URL)).select("#rows tr"))
    emailsec.faults.next(operation="submissions", status=503, times=20)

    page = soup(analyst.get(f"{URL}?last=7d"))

    assert page.select_one(".failed") is not None
    assert 0 < len(page.select("#rows tr")) <= shown


def test_the_older_api_says_what_it_lacks(analyst, emailsec, soup: Soup):
    from dashboard.upstream.features import SharedMissingFeatures

    SharedMissingFeatures(emailsec.account_id).remember("create_submissions")

    page = soup(analyst.get(URL))

    assert page.select_one("[name=order]") is None
    assert "older generation" in page.select_one("#submission-filters").text


def test_a_limited_member_learns_nothing_of_others(analyst, ana: Member, emailsec, entries, soup: Soup):
    analyst.get(f"{URL}?type=BOTH&last=90d")
    domains = sorted({domain for row in SeenSubmission.objects.all() for domain in row.domains.split()})
    inside = set(
        SeenSubmission.objects.filter(domains__contains=f" {domains[0]} ").values_list("submission_id", flat=True)
    )
    foreign = next(name for name in entries if name not in inside)
    ana.domains = [domains[0]]
    ana.save(update_fields=["domains"])

    page = soup(analyst.get(f"{URL}?type=BOTH&last=90d"))

    assert inside
    assert {row["data-id"] for row in page.select("#rows tr")} <= inside
    assert page.select_one(".becameline").text.split()[-6:]  # the figures are there, of theirs alone
    assert str(len(inside)) in [number.text for number in page.select(".becameline b")]
    assert analyst.get(f"{URL}{foreign}/").status_code == 404
    assert analyst.get(f"{URL}unheard-of/").status_code == 404


def test_figures_lead_to_the_lists_behind_them(analyst, emailsec, entries, soup: Soup):
    _rejected(entries)
    page = soup(analyst.get(URL))
    links = {link.text.split()[1]: link for link in page.select(".becameline a")}

    for word in ("accepted", "rejected"):
        number = int(links[word].b.text)
        assert number > 0
        assert len(soup(analyst.get(URL + links[word]["href"])).select("#rows tr")) == number


def test_a_report_is_escalated_with_its_id_and_can_be_undone(analyst, ana, emailsec, entries, soup: Soup):
    report = _report(entries)
    analyst.get(f"{URL}{report.submission_id}/")
    wanted = "BULK" if report.original != "BULK" else "SPAM"

    answer = analyst.post(
        f"{URL}{report.submission_id}/escalate",
        {"operation_key": _key(), "expected_disposition": wanted, "reason": "seen by three of us"},
        headers=HTMX,
    )

    assert answer.status_code == 200
    action = Action.objects.get()
    assert action.state == ActionState.WAITING
    assert soup(answer).select_one("[data-undo]") is not None
    assert _send(action).state == ActionState.DONE
    assert action.request["escalated_submission_id"] == report.submission_id
    assert report.escalated_as == wanted
    assert AuditEvent.objects.filter(action="submission:escalate", targets=[report.submission_id]).exists()


def test_the_same_form_escalates_once(analyst, emailsec, entries):
    report = _report(entries)
    form = {"operation_key": _key(), "expected_disposition": "BULK"}

    for _ in range(2):
        assert analyst.post(f"{URL}{report.submission_id}/escalate", form).status_code == 303

    assert Action.objects.count() == 1


def test_a_request_of_the_team_is_no_report_to_escalate(analyst, emailsec, entries):
    ours = next(entry for entry in entries.values() if entry.by_team)

    answer = analyst.post(
        f"{URL}{ours.submission_id}/escalate", {"operation_key": _key(), "expected_disposition": "BULK"}
    )

    assert answer.status_code == 404
    assert not Action.objects.exists()


def test_a_verdict_has_to_be_chosen(analyst, emailsec, entries, soup: Soup):
    report = _report(entries)

    answer = analyst.post(
        f"{URL}{report.submission_id}/escalate", {"operation_key": _key(), "reason": "kept"}, headers=HTMX
    )

    assert answer.status_code == 422
    assert "Choose a verdict." in soup(answer).text
    assert soup(answer).select_one("textarea").text.strip() == "kept"


def test_a_viewer_may_neither_escalate_nor_answer(viewer, emailsec, entries):
    report = _report(entries)

    assert "may not submit mail" in _original(viewer, report)
    for what in ("escalate", "answer"):
        assert viewer.post(f"{URL}{report.submission_id}/{what}", {}).status_code == 403


def test_nobody_answers_without_the_right_to_work_on_cases(viewer, vera: Member, analyst, emailsec, entries):
    report = _report(entries)
    analyst.get(f"{URL}{report.submission_id}/")

    with pytest.raises(PermissionDenied):
        answering.answer(
            actor=vera,
            submission=SeenSubmission.objects.get(submission_id=report.submission_id),
            verdict=OwnVerdict.TRUE_POSITIVE,
            text="",
            operation_key=_key(),
            request=None,
        )
    assert not SubmissionAnswer.objects.exists()


def test_a_message_that_is_gone_is_said_to_be(analyst, emailsec, entries):
    report = _report(entries)
    analyst.get(f"{URL}{report.submission_id}/")
    SeenSubmission.objects.update(postfix_id="unheard-of")

    assert "Gone" in _original(analyst, report)


def _case(report: Any) -> Case:
    with_message = cases.ensure(get_client().message(report.record.id, submission=True), CaseSource.SUBMISSION)
    CaseReport.objects.create(
        case=with_message, account_id=with_message.account_id, source=CaseSource.SUBMISSION,
        upstream_id=report.submission_id,
    )  # fmt: skip
    return with_message


def test_our_answer_finishes_the_case_of_the_report(analyst, emailsec, entries, soup: Soup):
    report = _report(entries)
    case = _case(report)
    form = {"operation_key": _key(), "verdict": "false_positive", "text": "their own newsletter"}

    for _ in range(2):
        assert analyst.post(f"{URL}{report.submission_id}/answer", form, headers=HTMX).status_code == 200

    case.refresh_from_db()
    assert (case.state, case.verdict) == (CaseState.DONE, "false_positive")
    assert SubmissionAnswer.objects.get().member_name == "Ana"
    assert AuditEvent.objects.filter(action="submission:answer").count() == 1
    assert soup(analyst.get(f"{URL}?type=USER")).select_one(f'tr[data-id="{report.submission_id}"] .ours') is not None


def test_an_answer_takes_no_case_from_a_colleague_without_asking(analyst, ben, emailsec, entries, soup: Soup):
    report = _report(entries)
    cases.take(actor=ben, case=_case(report), request=None)
    form = {"operation_key": _key(), "verdict": "graymail"}

    refused = analyst.post(f"{URL}{report.submission_id}/answer", form, headers=HTMX)

    assert refused.status_code == 409
    assert "Ben has this" in soup(refused).text
    assert not SubmissionAnswer.objects.exists()
    insists = form | {"take_over": "1"}
    assert analyst.post(f"{URL}{report.submission_id}/answer", insists, headers=HTMX).status_code == 200
    assert Case.objects.get().done_by == "Ana"


def _rejected(entries: dict[str, Any]) -> Any:
    """A request of the team that Cloudflare answered with another verdict."""
    entry = next(entry for entry in entries.values() if entry.by_team and entry.record.message_id)
    entry.decided_at = entry.requested_at + 60
    entry.outcome_disposition = "SPAM" if entry.requested_disposition == "NONE" else "NONE"
    return entry


def test_what_cloudflare_refused_can_be_reported_as_missed_with_its_file(analyst, emailsec, entries, soup: Soup):
    entry = _rejected(entries)
    analyst.get(f"{URL}{entry.submission_id}/")
    link = soup(analyst.get(f"{URL}{entry.submission_id}/original", headers=HTMX)).select_one("#missed a")
    offered = soup(analyst.get(link["href"], headers=HTMX))
    assert "raw file goes along" in offered.text

    wanted = entry.requested_disposition
    answer = analyst.post(
        offered.form["action"], {"operation_key": _key(), "expected_disposition": wanted}, headers=HTMX
    )

    assert answer.status_code == 200
    item = ActionItem.objects.get()
    assert bytes(item.attachment) == get_client().raw(item.investigate_id).encode()
    action = _send(item.action)
    assert action.state == ActionState.DONE
    assert action.request["type"] == "missed_detection"
    assert action.request["eml_sha256"]


def test_the_receipt_of_a_refused_submission_offers_it_too(analyst, viewer, ana, emailsec, entries, soup: Soup):
    record = _rejected(entries).record
    action = Action.objects.create(
        operation_key=_key(), fingerprint="f", actor=ana, actor_name="Ana", kind="reclassify",
        expected_disposition="NONE", state=ActionState.FAILED, created_at=timezone.now(), due_at=timezone.now(),
        finished_at=timezone.now(),
    )  # fmt: skip
    ActionItem.objects.create(
        action=action, investigate_id=record.id, alert_id=record.alert_id, state=ActionState.FAILED
    )

    offered = [
        any(
            "missed-detection" in link["href"]
            for link in soup(who.get(f"/investigate/actions/{action.pk}/")).select("a")
        )
        for who in (analyst, viewer)
    ]
    assert offered == [True, False]


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_the_list_is_taken_as_a_file(analyst, emailsec, entries, soup: Soup, kind: str):
    shown = len(soup(analyst.get(URL)).select("#rows tr"))

    answer = analyst.get(f"{URL}export?type=TEAM&format={kind}")

    text = answer.content.decode()
    assert answer["Content-Disposition"].startswith("attachment")
    assert sum(name in text for name in SeenSubmission.objects.values_list("submission_id", flat=True)) == shown
    assert AuditEvent.objects.get().action == "submission:export"
