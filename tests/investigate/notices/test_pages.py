"""Setting notices up, changing and trying them, and the list of what was sent."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.access.sealing import unseal
from dashboard.audit.models import AuditEvent
from investigate.models import Channel, Notice, NoticeRule, NoticeState, Rhythm, SavedView
from investigate.notices import making, services, words
from investigate.notices.queries import troubles
from tests.conftest import HTMX
from tests.investigate.notices.conftest import work
from tests.investigate.notices.receivers import Receiver

pytestmark = pytest.mark.django_db
LIST, NEW = "/investigate/notices/", "/investigate/notices/new"
Soup = Callable[..., Any]


@pytest.fixture
def typed(view: SavedView) -> dict[str, Any]:
    return {
        "key": str(uuid.uuid4()),
        "view": view.pk,
        "rhythm": "daily",
        "hour": "6",
        "channel": "webhook",
        "target": "https://hooks.example/T01/secret",
    }


def test_a_webhook_is_set_up_sealed_and_its_secret_is_shown_once(
    responder: Client, typed: dict[str, Any], soup: Soup, found: Any
) -> None:
    found("edf:a")
    page = soup(responder.post(NEW, typed))

    rule = NoticeRule.objects.get()
    secret = page.select_one("#secret")["value"]
    assert unseal(rule.secret) == secret
    assert unseal(rule.target) == typed["target"]
    assert "T01" not in rule.target + rule.shown
    assert rule.told_hit == making.newest_hit(rule.view_id)  # what was there before is not told
    event = AuditEvent.objects.get(action="notice:create")
    assert event.targets == ["https://hooks.example/…"]
    assert secret not in str(event.detail)
    again = responder.post(NEW, typed)
    assert again.status_code == 303
    assert NoticeRule.objects.count() == 1
    listed = responder.get(LIST).content.decode()
    assert "https://hooks.example/…" in listed
    assert secret not in listed
    assert "T01" not in listed


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("http://hooks.example/x", "it must begin with https://, unless an admin names it"),
        ("https://127.0.0.1/x", "names an address of a private network"),
        ("https://localhost/x", "names an address of a private network"),
        ("https://[::1]/x", "names an address of a private network"),
        ("https://169.254.169.254/latest", "names an address of a private network"),
        ("https://a:b@hooks.example/", "must hold no name, password or fragment"),
        ("ftp://hooks.example/", "must begin with https:// or http:// and name a host"),
        ("https://hooks.example/a b", "holds a character that no address has"),
        ("nothing", "must begin with https:// or http://"),
    ],
    ids=["http", "loopback", "localhost", "loopback 6", "metadata", "password", "ftp", "space", "no address"],
)
def test_a_target_that_cannot_be_is_refused_in_words(
    responder: Client, typed: dict[str, Any], soup: Soup, target: str, told: str
) -> None:
    answer = responder.post(NEW, typed | {"target": target})

    assert answer.status_code == 422
    assert told in soup(answer).select_one("#id_target_error").text
    assert soup(answer).select_one("#id_target")["value"] == target
    assert not NoticeRule.objects.exists()


@pytest.mark.parametrize("named", ["10.0.0.7", "10.0.0.7:8080"])
def test_a_receiver_named_by_the_installation_may_be_private(
    responder: Client, typed: dict[str, Any], settings: Any, named: str
) -> None:
    settings.NOTICE_HOSTS = frozenset({named})

    assert responder.post(NEW, typed | {"target": "http://10.0.0.7:8080/x"}).status_code == 200
    assert responder.post(NEW, typed | {"target": "http://10.0.0.8:8080/x"}).status_code == 422


def test_a_new_key_seals_what_is_set_up(responder: Client, typed: dict[str, Any], settings: Any) -> None:
    responder.post(NEW, typed)
    secret = unseal(NoticeRule.objects.get().secret)
    settings.FACTOR_KEYS = ["a first key that is long enough for it"]
    call_command("rotate_factor_key", stdout=(said := io.StringIO()))
    settings.SECRET_KEY = "another secret key, as after a leak of the first"

    rule = NoticeRule.objects.get()
    assert "1 notices" in said.getvalue()
    assert (unseal(rule.target), unseal(rule.secret)) == (typed["target"], secret)


def test_everybody_may_have_mail_to_their_own_address_and_nothing_else(
    analyst: Client, ana: Member, typed: dict[str, Any], soup: Soup
) -> None:
    page = soup(analyst.get(f"{NEW}?view={typed['view']}"))
    assert [option["value"] for option in page.select("#id_channel option")] == ["mail"]
    assert page.select_one("#id_target")["value"] == ana.email

    assert analyst.post(NEW, typed).status_code == 422
    made = analyst.post(NEW, typed | {"channel": "mail", "target": "victim@other.example"})

    assert made.status_code == 303
    assert unseal(NoticeRule.objects.get().target) == ana.email


def test_the_service_asks_for_the_right_by_itself(ana: Member, view: SavedView, rf: Any) -> None:
    wanted = services.Wanted(view, Rhythm.AT_ONCE, 7, Channel.MAIL, "victim@other.example")

    with pytest.raises(services.NotPossible):
        services.create(actor=ana, key=uuid.uuid4(), wanted=wanted, request=rf.post(NEW))


@pytest.mark.parametrize(
    ("does", "overseer_may"),
    [("change", False), ("switch on", False), ("try", False), ("switch off", True), ("delete", True), ("again", True)],
)
def test_the_service_lets_nobody_turn_the_notice_of_another_to_themselves(
    hook: NoticeRule, ana: Member, view: SavedView, found: Any, rf: Any, does: str, overseer_may: bool
) -> None:
    request = rf.post(LIST)
    wanted = services.Wanted(view, Rhythm.AT_ONCE, 7, Channel.MAIL, ana.email)
    found("edf:a")
    notice = making.make(hook.pk)
    Notice.objects.update(state=NoticeState.FAILED)
    acts: dict[str, Callable[[Member], Any]] = {
        "change": lambda actor: services.change(actor=actor, rule=hook, wanted=wanted, version=1, request=request),
        "switch on": lambda actor: services.switch(actor=actor, rule=hook, is_on=True, version=1, request=request),
        "switch off": lambda actor: services.switch(actor=actor, rule=hook, is_on=False, version=1, request=request),
        "delete": lambda actor: services.delete(actor=actor, rule=hook, version=1, request=request),
        "try": lambda actor: services.try_now(actor=actor, rule=hook, request=request),
        "again": lambda actor: services.send_again(actor=actor, notice=notice, request=request),
    }

    with pytest.raises(PermissionDenied):
        acts[does](ana)
    Member.objects.filter(pk=ana.pk).update(role=Role.RESPONDER)
    overseer = Member.objects.get(pk=ana.pk)
    with nullcontext() if overseer_may else pytest.raises(PermissionDenied):
        acts[does](overseer)


def test_a_view_of_somebody_else_is_not_offered(
    analyst: Client, view: SavedView, typed: dict[str, Any], soup: Soup
) -> None:
    view.is_shared = False
    view.save()

    assert "There is no view" in soup(analyst.get(NEW)).select_one(".failed").text
    assert analyst.post(NEW, typed | {"channel": "mail"}).status_code == 422


def test_without_an_address_of_the_desk_no_rule_can_be_made(
    responder: Client, typed: dict[str, Any], settings: Any, soup: Soup
) -> None:
    settings.ADDRESS = ""

    for page in (responder.get(NEW), responder.get(LIST)):
        assert "MAILWARDEN_ADDRESS" in soup(page).select_one(".failed").text
    assert responder.post(NEW, typed).status_code == 422
    assert not NoticeRule.objects.exists()


def test_without_mail_the_form_says_so(responder: Client, analyst: Client, view: Any, settings: Any) -> None:
    settings.SENDS_MAIL = False

    assert "MAILWARDEN_EMAIL_URL is not set" in responder.get(NEW).content.decode()
    told = analyst.get(NEW).content.decode()
    assert "MAILWARDEN_EMAIL_URL is not set" in told
    assert "id_channel" not in told


def test_a_rule_is_changed_by_who_saw_it_as_it_is(
    responder: Client, typed: dict[str, Any], soup: Soup, view: SavedView
) -> None:
    responder.post(NEW, typed)
    rule = NoticeRule.objects.get()
    url = f"{LIST}{rule.pk}/"
    seen = {"version": rule.version, "view": view.pk, "rhythm": "hourly", "hour": "7", "channel": "webhook"}

    assert responder.post(url, seen | {"target": ""}).status_code == 303
    late = responder.post(url, seen | {"rhythm": "at_once", "target": ""})

    rule.refresh_from_db()
    assert (rule.rhythm, unseal(rule.target)) == ("hourly", typed["target"])
    assert late.status_code == 409
    assert services.CHANGED in soup(late).select_one(".errors").text
    fresh = soup(responder.post(url, seen | {"version": rule.version, "new_secret": "on", "target": ""}))
    assert unseal(NoticeRule.objects.get().secret) == fresh.select_one("#secret")["value"]


def test_switching_off_ends_what_waits_and_on_begins_anew(
    responder: Client, hook: NoticeRule, found: Any, http: Receiver
) -> None:
    http.answers(500)
    found("edf:a")
    work()
    off = responder.post(f"{LIST}{hook.pk}/switch", {"version": hook.version, "on": "0"})
    found("edf:b")

    assert off.status_code == 303
    assert (Notice.objects.get().state, Notice.objects.get().answer) == (NoticeState.FAILED, words.OFF)
    assert responder.post(f"{LIST}{hook.pk}/switch", {"version": "1", "on": "1"}).status_code == 409
    hook.refresh_from_db()
    responder.post(f"{LIST}{hook.pk}/switch", {"version": hook.version, "on": "1"})
    work()

    assert Notice.objects.count() == 1  # what was found while it was off is not told


def test_trying_sends_a_marked_notice_and_its_page_waits_for_the_answer(
    responder: Client, hook: NoticeRule, http: Receiver, soup: Soup
) -> None:
    began = responder.post(f"{LIST}{hook.pk}/try")
    page = began["Location"]
    assert soup(responder.get(page)).select_one("#outcome[hx-get]")
    work()

    ended = soup(responder.get(f"{page}?n=1", headers=HTMX))
    assert "The receiver took it (204)." in ended.select_one("#outcome").text
    assert not ended.select_one("#outcome[hx-get]")
    assert '"test": true' in http.got[0]["body"]
    assert [(event.actor_name, event.phase) for event in AuditEvent.objects.filter(action="notice:test")] == [
        ("Ben", "attempt"),
        ("Mailwarden", "done"),
    ]


def test_a_failed_test_is_not_tried_again_and_keeps_nothing_waiting(
    responder: Client, hook: NoticeRule, http: Receiver, found: Any
) -> None:
    http.answers(500)
    responder.post(f"{LIST}{hook.pk}/try")
    work()
    found("edf:a")
    work()

    assert list(Notice.objects.order_by("created_at").values_list("state", "messages")) == [
        ("failed", 0),
        ("arrived", 1),
    ]


def test_members_see_their_own_and_who_oversees_sees_all(
    analyst: Client, responder: Client, rule_for: Any, ana: Member, ben: Member, soup: Soup, found: Any, smtp: Receiver
) -> None:
    own = rule_for(ana, Channel.MAIL, ana.email)
    other = rule_for(ben, Channel.MAIL, "soc@corp.example")
    found("edf:a")
    work()

    assert "soc@corp.example" not in analyst.get(LIST).content.decode()
    assert analyst.get(f"{LIST}{other.pk}/").status_code == 404
    foreign = Notice.objects.get(owner=ben)
    assert analyst.get(f"{LIST}sent/{foreign.pk}/").status_code == 404
    all_of_it = soup(responder.get(LIST)).text
    assert "ana@corp.example" in all_of_it
    assert "soc@corp.example" in all_of_it
    assert responder.post(f"{LIST}{own.pk}/", {"version": "1"}).status_code == 409  # another's is not changed
    assert responder.post(f"{LIST}{own.pk}/try").status_code == 409
    assert responder.post(f"{LIST}{own.pk}/delete", {"version": own.version}).status_code == 303
    assert set(NoticeRule.objects.all()) == {other}

    Member.objects.filter(pk=ben.pk).update(domains=["corp.example"])
    assert "ana@corp.example" not in responder.get(LIST).content.decode()


@pytest.mark.parametrize(
    "change",
    [{"query": "recipient=zqmarked%40elsewhere.example&last=24h"}, {"is_shared": False}],
    ids=["of other domains", "taken back"],
)
def test_a_rule_tells_nothing_of_a_view_its_owner_may_not_open_any_more(
    view: SavedView, rule_for: Callable[..., NoticeRule], soup: Soup, change: dict[str, Any]
) -> None:
    lea = Member.objects.create_user(
        "lea", "lea@corp.example", "correct horse battery", role=Role.RESPONDER, domains=["corp.example"]
    )
    client, rule = Client(), rule_for(lea, Channel.MAIL, lea.email)
    client.force_login(lea)
    assert soup(client.get(LIST)).select_one(".told th a").get_text() == view.name

    SavedView.objects.filter(pk=view.pk).update(name="zqmarked", **change)

    for answer in (client.get(LIST), client.post(f"{LIST}{rule.pk}/try"), client.get(f"{LIST}{rule.pk}/")):
        assert b"zqmarked" not in answer.content
    page = soup(client.get(LIST))
    assert page.select_one(".told th[scope=row]").get_text(strip=True) == words.VIEW_CLOSED
    assert not page.select(".told th a")


def test_what_was_sent_is_filtered_and_paged(
    responder: Client, hook: NoticeRule, soup: Soup, view: SavedView, rule_for: Any, ben: Member
) -> None:
    other = rule_for(ben, Channel.MAIL, "soc@corp.example")
    for number in range(60):
        Notice.objects.create(
            rule=hook if number % 2 else other,
            view_name=view.name,
            owner=ben,
            channel=Channel.MAIL,
            shown=f"to {number}.",
            content={},
            messages=1,
            campaigns=0,
            state=NoticeState.FAILED if number < 10 else NoticeState.ARRIVED,
            created_at=timezone.now() - timezone.timedelta(minutes=number),
        )

    def shown(query: str) -> list[int]:
        page = soup(responder.get(LIST + query))
        return [int(number) for number in re.findall(r"to (\d+)\.", page.select_one("section").text)]

    assert shown("") == list(range(50))
    assert shown("?page=2") == list(range(50, 60))
    assert shown(f"?state=failed&rule={hook.pk}") == [1, 3, 5, 7, 9]
    assert shown("?state=open") == []
    assert responder.get(f"{LIST}?rule=nonsense&page=x").status_code == 200


def test_the_list_takes_as_many_queries_for_many_as_for_one(
    responder: Client, rule_for: Any, ben: Member, found: Any, smtp: Receiver
) -> None:
    def asked() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            responder.get(LIST)
        return len(queries)

    rule_for(ben, Channel.MAIL, "a@corp.example")
    found("edf:a")
    work()
    responder.get(LIST)
    first = asked()
    for number in range(5):
        rule_for(ben, Channel.MAIL, f"{number}@corp.example")
    found("edf:b")
    work()

    assert asked() == first


def test_names_of_views_and_answers_are_shown_as_text(
    responder: Client, rule_for: Any, ben: Member, view: SavedView
) -> None:
    view.name = "<img src=x onerror=alert(1)>\u202e"
    view.save()
    rule_for(ben, Channel.MAIL, "soc@corp.example", stopped_why="<b>why</b>", is_on=False)

    html = responder.get(LIST).content.decode()

    assert "<img src=x" not in html
    assert "<b>why" not in html
    assert "\u202e" not in html


def test_troubles_are_of_the_own_rules_that_need_a_look(
    hook: NoticeRule, found: Any, http: Receiver, ben: Member, ana: Member
) -> None:
    assert troubles(ben) == 0
    http.answers(*[400] * 10)
    found("edf:a")
    work()
    Notice.objects.update(state=NoticeState.FAILED)

    assert (troubles(ben), troubles(ana)) == (1, 0)

    found("edf:b")
    Member.objects.filter(pk=ben.pk).update(role=Role.RESPONDER)
    (http.folder / "answers.json").unlink()
    NoticeRule.objects.update(due_at=timezone.now())
    work()
    assert troubles(ben) == 0
