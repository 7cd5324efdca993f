"""Sending to real receivers: there, away for a while, slow, refusing, hostile; and what they get."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from dashboard.outbound import posting
from dashboard.outbound.posting import Refused
from investigate.models import Channel, Notice, NoticeRule, NoticeState, SavedView
from investigate.notices import rendering, sending, words
from investigate.notices.queries import troubles
from tests.investigate.notices.conftest import ADDRESS, work
from tests.investigate.notices.receivers import Receiver

pytestmark = pytest.mark.django_db

HOSTILE = (
    "Pay *now* _or_ <http://evil.example|here> [click](https://evil.example/x) `x` @channel <!everyone>\r\n"
    "Bcc: victim@corp.example\u202e \\\\evil\\share www.evil.example & mailto:a@evil.example <b>bold</b>"
)


def subjects(receiver: Receiver) -> list[str]:
    return [group["subject"] for one in receiver.taken for group in json.loads(one["body"])["groups"]]


def opened(view: SavedView) -> str:
    """Where the view is opened, as its address says it."""
    return f"{ADDRESS}/investigate/?disposition=MALICIOUS&last=24h&view={view.pk}"


def mail_in(receiver: Receiver, number: int = -1) -> Any:
    text = receiver.taken[number]["text"]
    return email.message_from_string(text, policy=email.policy.default)


def test_a_webhook_gets_a_signed_notice_that_others_can_verify(hook: NoticeRule, http: Receiver, found: Any) -> None:
    found("edf:a", subject="Invoice 1")

    work()

    (got,) = http.got
    sent = got["headers"]["Mailwarden-Timestamp"] + "." + got["body"]
    told = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", "s" * 43, "-r"], input=sent.encode(), capture_output=True, check=True
    ).stdout.split()[0]
    assert got["headers"]["Mailwarden-Signature"] == f"v1={told.decode()}"
    assert abs(int(got["headers"]["Mailwarden-Timestamp"]) - dt.datetime.now(dt.UTC).timestamp()) < 30
    body = json.loads(got["body"])
    notice = Notice.objects.get()
    assert body["id"] == got["headers"]["Mailwarden-Notice"] == str(notice.pk)
    assert body["view"]["url"] == opened(hook.view)
    assert body["groups"][0]["url"] == f"{ADDRESS}/investigate/campaigns/one/?by=edf&key=a"
    assert body["change_url"] == f"{ADDRESS}/investigate/notices/{hook.pk}/"
    assert (notice.state, notice.attempts, notice.answer) == ("arrived", 1, "The receiver took it (204).")
    assert AuditEvent.objects.get(action="notice:send").phase == "done"


@pytest.mark.matrix(74)
def test_a_receiver_that_was_away_gets_everything_once_and_in_order(
    hook: NoticeRule, http: Receiver, found: Any, clock: Any
) -> None:
    http.down()
    for number in range(5):
        found("edf:a" if number == 0 else "", subject=f"Number {number}")
        work()
        clock.shift(400)
    assert Notice.objects.get().answer == "The receiver was not reached: connection refused."

    http.up()
    clock.shift(700)
    work()
    work()
    clock.shift(61)
    work()

    assert subjects(http)[0] == "Number 0"
    assert sorted(subjects(http)) == [f"Number {number}" for number in range(5)]
    assert len(http.got) == 2
    assert set(Notice.objects.values_list("state", flat=True)) == {NoticeState.ARRIVED}


@pytest.mark.matrix(74)
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (500, "Not taken: it answers 500."),
        ({"status": 302, "headers": {"Location": "/elsewhere"}}, "Not taken: it answers with a redirect (302), which"),
        ({"status": 200, "pause": 3}, "The receiver was not reached: no answer in time."),
    ],
    ids=["error", "redirect", "slow"],
)
def test_what_was_not_taken_is_sent_again_under_the_same_name(
    hook: NoticeRule,
    http: Receiver,
    found: Any,
    clock: Any,
    answer: Any,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "POST_SECONDS", 0.5)
    http.answers(answer)
    found("edf:a")

    work()
    assert Notice.objects.get().answer.startswith(told)
    work()  # its time has not come
    assert len(http.got) == 1
    clock.shift(sending.PAUSES[0] + 1)
    work()

    assert [one["headers"]["Mailwarden-Notice"] for one in http.got] == [str(Notice.objects.get().pk)] * 2
    assert {one["path"] for one in http.got} == {"/hooks/T0123456789?key=secret"}
    assert (Notice.objects.get().state, Notice.objects.get().attempts) == (NoticeState.ARRIVED, 2)


@pytest.mark.matrix(74)
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_receiver_that_asks_for_time_gets_it(
    hook: NoticeRule, http: Receiver, found: Any, clock: Any, form: str
) -> None:
    later = timezone.now() + dt.timedelta(seconds=900)
    value = "900" if form == "seconds" else later.strftime("%a, %d %b %Y %H:%M:%S GMT")
    http.answers({"status": 429, "headers": {"Retry-After": value}})
    found("edf:a")
    work()

    clock.shift(880)
    work()
    assert len(http.got) == 1
    clock.shift(25)
    work()
    assert Notice.objects.get().state == NoticeState.ARRIVED


@pytest.mark.parametrize(
    "value", ["-1", "soon", "9" * 30, "Mon, 1 Jan 99999999999999999999 00:00:00 GMT", "Mon, 1 Jan 0001 00:00:00 +2300"]
)
def test_a_time_that_nobody_can_wait_for_is_the_usual_pause(
    hook: NoticeRule, http: Receiver, found: Any, clock: Any, value: str
) -> None:
    http.answers({"status": 429, "headers": {"Retry-After": value}})
    found("edf:a")
    work()
    assert Notice.objects.get().state == NoticeState.WAITING
    clock.shift(sending.PAUSES[0] + 1)
    work()

    assert Notice.objects.get().state == NoticeState.ARRIVED


@pytest.mark.matrix(74)
def test_after_about_a_day_it_is_given_up_and_can_be_sent_by_hand(
    hook: NoticeRule, http: Receiver, found: Any, clock: Any, responder: Any, ben: Member
) -> None:
    http.down()
    found("edf:a")
    began = timezone.now()
    work()
    while (notice := Notice.objects.get()).state == NoticeState.WAITING:
        clock.move_to(notice.due_at + dt.timedelta(seconds=1))
        work()

    assert dt.timedelta(hours=22) < timezone.now() - began < dt.timedelta(hours=27)
    assert (notice.state, notice.attempts) == (NoticeState.FAILED, len(sending.PAUSES) + 1)
    assert troubles(ben) == 1

    http.up()
    responder.force_login(ben)  # a day later the session is over
    assert responder.post(f"/investigate/notices/sent/{notice.pk}/again").status_code == 303
    work()
    assert Notice.objects.get().state == NoticeState.ARRIVED
    assert troubles(ben) == 0


@pytest.mark.matrix(74)
@pytest.mark.parametrize("status", [404, 410])
def test_a_webhook_that_is_gone_is_switched_off_after_some_tries(
    hook: NoticeRule, http: Receiver, found: Any, clock: Any, status: int
) -> None:
    http.answers(*[status] * 10)
    found("edf:a")
    for _ in range(8):
        work()
        clock.shift(1_000)

    hook.refresh_from_db()
    assert not hook.is_on
    assert f"it answers {status}" in hook.stopped_why
    assert len(http.got) == sending.SURE_AFTER
    assert Notice.objects.get().state == NoticeState.FAILED


def test_a_refusal_ends_the_notice_and_leaves_the_rule_on(
    hook: NoticeRule, http: Receiver, found: Any, clock: Any
) -> None:
    http.answers(*[400] * 10)
    found("edf:a")
    for _ in range(8):
        work()
        clock.shift(1_000)

    hook.refresh_from_db()
    assert hook.is_on
    assert Notice.objects.get().state == NoticeState.FAILED
    assert len(http.got) == sending.SURE_AFTER


@pytest.mark.matrix(74)
def test_a_worker_killed_before_the_answer_sends_the_same_notice_again(
    hook: NoticeRule, http: Receiver, found: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found("edf:a")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sending, "_note", killed)
        with pytest.raises(KeyboardInterrupt):
            work()
    work()  # somebody may still be at it
    assert len(http.got) == 1

    clock.shift(sending.CLAIM.total_seconds() + 1)
    work()
    clock.shift(sending.PAUSES[0] + 1)
    work()

    assert len({one["headers"]["Mailwarden-Notice"] for one in http.got}) == 1
    assert len(http.got) == 2
    assert Notice.objects.get().state == NoticeState.ARRIVED


@pytest.mark.matrix(74)
def test_who_comes_back_late_changes_nothing(
    hook: NoticeRule, http: Receiver, found: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found("edf:a")
    real = sending._tried

    def held_up(notice: Notice) -> sending.Outcome:
        monkeypatch.setattr(sending, "_tried", real)
        clock.shift(sending.CLAIM.total_seconds() + 1)
        sending.release_dead()
        clock.shift(sending.PAUSES[0] + 1)
        sending.send(notice.pk)
        return sending.Outcome("too late")

    monkeypatch.setattr(sending, "_tried", held_up)
    work()

    assert (Notice.objects.get().state, Notice.objects.get().attempts) == (NoticeState.ARRIVED, 2)


def test_what_the_owner_may_not_tell_any_more_is_not_sent(
    hook: NoticeRule, http: Receiver, found: Any, clock: Any, ben: Member
) -> None:
    http.answers(500)
    found("edf:a", to=("zoe@other.example",))
    work()
    Member.objects.filter(pk=ben.pk).update(domains=["corp.example"])
    clock.shift(60)
    work()
    assert (len(http.got), Notice.objects.get().answer) == (1, words.NARROWED)

    Member.objects.filter(pk=ben.pk).update(domains=[], role=Role.ANALYST)
    found("edf:b")
    clock.shift(60)
    work()
    assert NoticeRule.objects.get().stopped_why == words.NOT_OWN
    assert len(http.got) == 1


def test_a_mail_arrives_with_links_and_without_life(
    rule_for: Callable[..., NoticeRule], ben: Member, smtp: Receiver, found: Any
) -> None:
    rule = rule_for(ben, Channel.MAIL, "soc@corp.example")
    found("edf:a", subject=HOSTILE, sender="billing@evil.example")
    found("", subject="")

    work()

    (got,) = smtp.got
    assert got["to"].lower() == "rcpt to:<soc@corp.example>"
    message = mail_in(smtp)
    notice = Notice.objects.get()
    assert message["Message-ID"] == f"<notice-{notice.pk}@desk.corp.example>"
    assert message["Subject"] == "Mailwarden: 2 new messages in Held <today>"
    assert message["To"] == "soc@corp.example"
    assert "Bcc" not in message
    assert message["Auto-Submitted"] == "auto-generated"
    plain = message.get_body(("plain",)).get_content()
    html = message.get_body(("html",)).get_content()
    ours = re.escape(ADDRESS)
    for text in (plain, html):
        assert not re.search(rf"(?:https?|ftp)://(?!{ours[8:]})", text)
        assert "evil.example" not in text
        assert "evil[.]example" in text
        assert "[U+202E]" in text
        assert f"{ADDRESS}/investigate/notices/{rule.pk}/" in text
    assert "<b>bold" not in html
    assert not re.search(r"<(img|link|script|style|iframe|form)\b|style=|src=", html)
    assert set(re.findall(r'href="([^"]+)"', html)) == {
        opened(rule.view).replace("&", "&amp;"),
        f"{ADDRESS}/investigate/campaigns/one/?by=edf&amp;key=a",
        f"{ADDRESS}{rendering._group_path(next(one for one in notice.content['groups'] if not one['campaign']))}",
        f"{ADDRESS}/investigate/notices/{rule.pk}/",
    }


@pytest.mark.matrix(74)
def test_a_mail_server_that_was_away_gets_the_mail_once(
    rule_for: Callable[..., NoticeRule], ana: Member, smtp: Receiver, found: Any, clock: Any
) -> None:
    rule_for(ana, Channel.MAIL, ana.email)
    smtp.down()
    found("edf:a")
    work()
    assert Notice.objects.get().answer == "The mail server was not reached: connection refused."

    smtp.up()
    smtp.answers(451)
    clock.shift(31)
    work()
    assert Notice.objects.get().answer == "The mail server answers 451."
    clock.shift(61)
    work()
    work()

    assert len(smtp.taken) == 1
    assert Notice.objects.get().state == NoticeState.ARRIVED


def test_a_mail_that_is_refused_for_good_is_not_tried_again(
    rule_for: Callable[..., NoticeRule], ana: Member, smtp: Receiver, found: Any, clock: Any
) -> None:
    rule_for(ana, Channel.MAIL, ana.email)
    smtp.answers(554)
    found("edf:a")
    work()
    clock.shift(600)
    work()

    assert (Notice.objects.get().state, len(smtp.got)) == (NoticeState.FAILED, 1)


@pytest.mark.parametrize("channel", [Channel.SLACK, Channel.TEAMS])
def test_a_chat_gets_hostile_text_only_where_it_knows_no_markup(
    rule_for: Callable[..., NoticeRule], ben: Member, http: Receiver, found: Any, channel: Channel, view: Any
) -> None:
    view.name = "*Held* <!channel> @here"
    view.save()
    rule_for(ben, channel, http.url)
    found("edf:a", subject=HOSTILE)

    work()

    (got,) = http.taken
    assert "Mailwarden-Signature" not in got["headers"]
    body = json.loads(got["body"])
    assert "evil.example" not in got["body"]
    assert "\u202e" not in got["body"]
    if channel == Channel.SLACK:
        assert body["text"] == (
            f"1 new message in Held channel here: <{opened(view).replace('&', '&amp;')}|open the view>"
        )
        marked = [block for block in body["blocks"] if block["type"] == "context"]
        plain = [block["text"] for block in body["blocks"] if block["type"] == "section"]
        assert all(text["type"] == "plain_text" for text in plain)
        assert not any("now" in json.dumps(block) for block in marked)
        assert any("Pay *now*" in text["text"] for text in plain)
        return
    (card,) = (one["content"] for one in body["attachments"])
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    runs = [run for block in card["body"] for run in block["inlines"]]
    assert {run["type"] for run in runs} == {"TextRun"}
    urls = [action["url"] for action in card["actions"]] + [
        run["selectAction"]["url"] for run in runs if "selectAction" in run
    ]
    assert len(urls) == 3
    assert all(url.startswith(ADDRESS) for url in urls)


@pytest.mark.parametrize("sign", ["\U0001f4a3", "\u202e", "."], ids=["wide", "marked", "defanged"])
def test_a_full_chat_stays_within_what_the_chats_take(
    rule_for: Callable[..., NoticeRule], ben: Member, http: Receiver, found: Any, sign: str
) -> None:
    rule = rule_for(ben, Channel.TEAMS, http.url)
    many = tuple(f"{'x' * 60}{number}@{'y' * 60}.example" for number in range(20))
    for number in range(40):
        found(f"edf:{number}", subject=sign * 400, sender=sign * 200 + "z" * 200, to=many)
    work()

    assert len(http.taken[0]["body"].encode()) < 28_000
    notice = Notice.objects.get()
    notice.channel = Channel.SLACK
    assert rule.pk == notice.rule_id
    assert len(json.loads(rendering.payload(notice))["blocks"]) <= 50


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1"], ["10.1.2.3"], ["169.254.169.254"], ["::1"], ["::ffff:10.0.0.1"], ["64:ff9b::7f00:1"],
     ["64:ff9b:1::7f00:1"], ["::127.0.0.1"], ["fec0::1"], ["2002:7f00:1::1"], ["93.184.216.34", "127.0.0.1"], []],
    ids=["loopback", "private", "metadata", "loopback 6", "mapped", "nat64", "nat64 of one's own",
         "compatible", "of a site", "6to4", "one of two", "none"],
)  # fmt: skip
def test_a_name_that_leads_to_a_private_address_gets_nothing(http: Receiver, answers: list[str]) -> None:
    with pytest.raises(Refused, match="leads to a private address"):
        posting.post(f"https://hooks.example:{http.port}/", b"{}", {}, resolve=lambda *_: answers)
    assert http.got == []


def test_an_address_that_can_be_that_of_nothing_is_a_refusal() -> None:
    with pytest.raises(Refused, match="can be that of nothing"):
        posting.post("https://1.2.3.999/", b"{}", {})


@pytest.mark.parametrize("channel", [Channel.MAIL, Channel.SLACK])
def test_what_waits_goes_where_its_rule_goes_now_and_is_written_down_so(
    rule_for: Callable[..., NoticeRule],
    ben: Member,
    responder: Client,
    http: Receiver,
    smtp: Receiver,
    found: Any,
    clock: Any,
    channel: Channel,
) -> None:
    old, new = (http, smtp) if channel == Channel.MAIL else (smtp, http)
    targets = {smtp: "soc@corp.example", http: http.url}
    rule = rule_for(ben, Channel.MAIL if old is smtp else Channel.WEBHOOK, targets[old])
    old.down()
    found("edf:a")
    work()

    filled = {"version": 1, "view": rule.view_id, "rhythm": "at_once", "hour": 7, "channel": channel}
    address = reverse("investigate:notice", args=[rule.pk])
    assert responder.post(address, {**filled, "target": targets[new]}).status_code == 303
    clock.shift(60)
    work()

    rule.refresh_from_db()
    notice = Notice.objects.get()
    assert (len(old.got), len(new.taken)) == (0, 1)
    assert (notice.state, notice.channel, notice.shown) == (NoticeState.ARRIVED, channel, rule.shown)
    assert AuditEvent.objects.get(action="notice:send").targets == [rule.shown]


def test_a_rule_whose_receiver_is_not_named_any_more_gets_nothing(
    hook: NoticeRule, http: Receiver, found: Any, settings: Any
) -> None:
    settings.NOTICE_HOSTS = frozenset()
    found("edf:a")
    work()

    assert http.got == []
    hook.refresh_from_db()
    assert hook.stopped_why.startswith("Its receiver is not allowed any more: it must begin with https://")
