"""The self-check: what it says of a healthy account and of each thing that is broken, and that it changes nothing."""

from __future__ import annotations

import datetime as dt
import socket
from io import StringIO
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.audit.recorder import record
from dashboard.emailsec import errors
from dashboard.installation import checking, running
from dashboard.installation.checking import MOST_CALLS, Finding, State, look_around
from dashboard.installation.models import SelfCheck
from dashboard.upstream.models import Heartbeat, MissingFeature, Turn
from tests.conftest import HTMX
from tests.simulated import serving, simulated_account

PAGE = reverse("installation:page")
BEGIN = reverse("installation:begin_check")
CHECK = reverse("installation:check")


def found() -> dict[str, Finding]:
    return {finding.name: finding for finding in look_around()}


def test_a_healthy_account_is_fine_within_the_calls_it_promises(emailsec: Any) -> None:
    before = len(emailsec.calls)

    findings = found()

    assert len(emailsec.calls) - before <= MOST_CALLS
    assert findings["Reading"].state == State.FINE
    assert findings["Search of 30 days"].state == State.FINE
    for name in ("Submissions", "PhishGuard reports", "Jobs at Cloudflare", "Monthly report", "Allow policies"):
        assert findings[name].state == State.FINE, name
    assert findings["Clock"].state == State.FINE
    assert findings["Tables"].state == State.FINE


def test_it_changes_nothing_upstream(emailsec: Any) -> None:
    found()

    assert not len(emailsec.ledger)
    assert [call.operation for call in emailsec.calls if call.method != "GET"] == ["preview_clean"]


def test_that_the_token_may_write_is_only_known_from_an_action_that_was_carried_out(emailsec: Any, ana: Member) -> None:
    assert found()["Writing"].state == State.UNKNOWN

    record(actor=ana, action="message:move", targets=["x"])

    finding = found()["Writing"]
    assert finding.state == State.FINE
    assert "The last action that was carried out" in finding.seen


def test_a_token_that_may_only_read_is_told(db: None, settings: Any) -> None:
    simulator = simulated_account(messages=20, seed=7, token="another", read_token="may-only-read")
    settings.CLOUDFLARE_API_TOKEN = "may-only-read"
    with serving(simulator):
        findings = found()

    assert findings["Reading"].state == State.FINE
    assert findings["Writing"].state == State.BROKEN
    assert "Cloud Email Security: Write" in findings["Writing"].advice


def test_refused_credentials_end_the_asking(emailsec: Any) -> None:
    emailsec.faults.next("*", status=401, times=None)
    before = len(emailsec.calls)

    findings = found()

    assert findings["Reading"].state == State.BROKEN
    assert findings["Submissions"].state == State.UNKNOWN
    assert len(emailsec.calls) - before == 1


def test_a_service_whose_answers_cannot_be_used_is_asked_once(emailsec: Any) -> None:
    emailsec.faults.next("*", html=True, times=None)

    findings = found()

    assert findings["Reading"].state == State.BROKEN
    assert findings["Submissions"].state == State.UNKNOWN
    assert [call.operation for call in emailsec.calls] == ["search"]


def test_without_any_answer_the_clock_is_not_known(db: None) -> None:
    assert checking._clock(has_answered=False).state == State.UNKNOWN
    assert checking._clock(has_answered=True).state == State.FINE


def test_a_used_up_budget_ends_the_asking_and_says_when_to_come_back(emailsec: Any) -> None:
    emailsec.faults.next("*", status=429, retry_after=120, times=None)

    findings = found()

    assert findings["Reading"].state == State.UNKNOWN
    assert "2:00" in findings["Submissions"].seen


def test_a_product_that_was_not_bought_is_told(emailsec: Any) -> None:
    emailsec.faults.next("*", status=403, message="not available in the current subscription", times=None)

    assert "not bought" in found()["Reading"].seen


def test_a_slow_search_is_told_and_is_no_fault(emailsec: Any, settings: Any) -> None:
    where = f"/client/v4/accounts/{settings.CLOUDFLARE_ACCOUNT_ID}/email-security/investigate?slow=1"
    emailsec.faults.next("search", location=where, times=None)

    findings = found()

    assert (findings["Reading"].state, findings["Search of 30 days"].state) == (State.FINE, State.FINE)
    assert "202" in findings["Search of 30 days"].seen


def test_what_an_older_server_lacks_is_named_and_asked_for_anew_each_time(db: None, settings: Any) -> None:
    simulator = simulated_account(
        messages=20,
        seed=7,
        profile="seed",
    )
    with serving(simulator):
        findings = found()
        asked = len(simulator.calls)
        again = found()

    assert findings["Jobs at Cloudflare"].seen == again["Jobs at Cloudflare"].seen == "Not on this server."
    assert findings["Jobs at Cloudflare"].state == State.LOOK
    assert findings["PhishGuard reports"].state == State.FINE
    assert len(simulator.calls) == 2 * asked
    assert MissingFeature.objects.filter(feature="bulk_jobs").exists()


def test_the_services_own_words_come_without_the_token(emailsec: Any, settings: Any) -> None:
    emailsec.faults.next("search", status=400, message=f"Bad {settings.CLOUDFLARE_API_TOKEN}", times=None)

    assert all(settings.CLOUDFLARE_API_TOKEN not in f"{one.seen} {one.advice}" for one in look_around())


def test_silent_workers_are_broken_and_beating_ones_fine(emailsec: Any) -> None:
    assert found()["Worker for people"].state == State.BROKEN

    for name in ("scheduler", "worker", "people", "bulk"):
        Heartbeat.objects.create(name=name, beat_at=timezone.now())

    assert found()["Worker for people"].state == State.FINE


def test_a_mail_server_that_is_away_is_broken(emailsec: Any, settings: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        settings.SENDS_MAIL = True
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", taken.getsockname()[1]
        finding = {one.name: one for one in checking._mail()}["Outgoing mail"]

    assert finding.state == State.BROKEN
    assert "ConnectionRefusedError" in finding.seen


@pytest.mark.parametrize(
    ("address", "hosts", "state"),
    [
        ("", ["desk.corp.example"], State.LOOK),
        ("http://desk.corp.example:8000", ["desk.corp.example"], State.FINE),
        ("http://other.corp.example", ["desk.corp.example"], State.BROKEN),
    ],
)
def test_the_address_of_links_must_open_something(settings: Any, address: str, hosts: list[str], state: State) -> None:
    settings.ADDRESS, settings.ALLOWED_HOSTS, settings.HTTPS = address, hosts, False

    assert next(checking._address()).state == state


# --- running it -------------------------------------------------------------------------------------------------------


def test_a_check_runs_once_and_is_kept_finding_by_finding(emailsec: Any, ada: Member) -> None:
    check = running.begin(actor=ada, asked_by="Ada")
    assert check is not None

    running.run(check.pk)
    calls = len(emailsec.calls)
    running.run(check.pk)

    assert len(emailsec.calls) == calls
    check.refresh_from_db()
    assert check.finished_at is not None
    assert {one["name"] for one in check.findings} >= {"Reading", "Writing", "Database"}
    assert AuditEvent.objects.get(action="installation:check").actor_name == "Ada"


def test_only_one_runs_at_a_time(db: None, ada: Member) -> None:
    assert running.begin(actor=ada, asked_by="Ada") is not None
    assert running.begin(actor=ada, asked_by="Ada") is None

    SelfCheck.objects.update(began_at=timezone.now() - dt.timedelta(hours=1))  # its worker is gone
    Turn.objects.all().delete()
    assert running.latest().is_lost  # type: ignore[union-attr]
    assert running.begin(actor=ada, asked_by="Ada") is not None


def test_the_button_shows_a_fragment_that_asks_until_it_is_finished(admin: Client, emailsec: Any) -> None:
    begun = admin.post(BEGIN, headers=HTMX).content.decode()
    assert f'hx-get="{CHECK}"' in begun

    running.run(SelfCheck.objects.get().pk)
    ended = admin.get(CHECK, headers=HTMX).content.decode()

    assert "hx-trigger" not in ended
    assert "may read messages" in ended
    assert "Check again" in ended


def test_without_htmx_it_is_a_plain_form(admin: Client) -> None:
    answer = admin.post(BEGIN)

    assert (answer.status_code, answer["Location"]) == (303, PAGE)
    assert "A worker is looking" in admin.get(PAGE).content.decode()
    assert admin.get(CHECK).status_code == 302


def test_a_second_click_begins_nothing(admin: Client) -> None:
    admin.post(BEGIN)
    admin.post(BEGIN)

    assert SelfCheck.objects.count() == 1


def test_a_broker_that_is_away_is_the_finding(admin: Client, settings: Any, tmp_path: Any) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    from dashboard.celery import app

    before = app.conf.broker_transport_options
    app.conf.broker_transport_options = {**before, "queue_folder": str(blocked / "queue")}
    try:
        page = admin.post(BEGIN, headers=HTMX).content.decode()
    finally:
        app.conf.broker_transport_options = before

    assert "no worker can run it" in page
    assert SelfCheck.objects.get().finished_at is not None


def test_the_command_prints_words_and_fails_where_something_is_broken(emailsec: Any) -> None:
    out = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("self_check", stdout=out)  # no worker has been seen

    assert ended.value.code == 1
    assert "Reading: The token may read messages." in out.getvalue()
    assert "broken" in out.getvalue()
    assert django_settings.CLOUDFLARE_API_TOKEN not in out.getvalue()


def test_the_command_succeeds_where_nothing_is_broken(emailsec: Any) -> None:
    for name in ("scheduler", "worker", "people", "bulk"):
        Heartbeat.objects.create(name=name, beat_at=timezone.now())

    call_command("self_check", stdout=StringIO())


def test_what_breaks_the_check_itself_is_said(emailsec: Any, ada: Member, settings: Any) -> None:
    settings.ADDRESS = object()  # nothing a check expects
    check = running.begin(actor=ada, asked_by="Ada")
    assert check is not None

    names = [finding.name for finding in running.carried_out(check)]

    assert names[-1] == "The check itself"
    check.refresh_from_db()
    assert check.finished_at is not None


def test_error_kinds_are_all_words(emailsec: Any) -> None:
    upstream = checking.Upstream()
    for problem in (
        errors.Unavailable("no answer"),
        errors.NotOnThisServer(status=404),
        errors.NotPermitted(status=403),
        errors.UnexpectedReply("HTML"),
        errors.Rejected(status=400, api_message="bad \u202e range"),
    ):
        said = upstream._not_read("Reading", "The token", problem)
        assert said.seen
        assert "\u202e" not in said.seen
