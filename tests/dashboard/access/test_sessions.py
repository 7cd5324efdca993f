"""Sessions: seen by their owner, ended by idleness, by age, by their owner, and by whoever changes what they may do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine
from bs4 import BeautifulSoup
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.test import Client, RequestFactory
from time_machine import Traveller as Clock

from dashboard.access.decorators import polls, requires
from dashboard.access.devices import device
from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.sessions import end_sessions
from dashboard.audit.models import AuditEvent
from tests.conftest import HTMX
from tests.dashboard.access.sign_in import NEW, PASSWORD, code_of, is_in, set_up_app, sign_in

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1"
EDGE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0"


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel("2026-11-21T08:00:00+00:00", tick=False) as traveller:
        yield traveller


@pytest.fixture
def here(clock: Clock, ana: Member) -> Client:
    client = Client(REMOTE_ADDR="192.0.2.10", headers={"user-agent": FIREFOX})
    sign_in(client)
    return client


@pytest.fixture
def there(clock: Clock, ana: Member) -> Client:
    client = Client(REMOTE_ADDR="192.0.2.20", headers={"user-agent": SAFARI})
    sign_in(client)
    return client


# --- how long they last -------------------------------------------------------------------------------------------


def test_an_idle_session_ends_and_the_page_says_so(here: Client, clock: Clock, settings) -> None:
    settings.IDLE_MINUTES = 30
    clock.shift(30 * 60)
    answer = here.get("/account/preferences/")
    assert answer["Location"] == "/account/login/?next=/account/preferences/&ended=idle"
    page = here.get(answer["Location"]).content.decode()
    assert "You were signed out after 30 minutes. You will go back to where you were." in page
    assert sign_in(here, next="/account/preferences/").status_code == 302


@pytest.mark.matrix(63)
def test_a_fragment_of_an_idle_session_leads_the_whole_page_away(here: Client, clock: Clock, settings) -> None:
    settings.IDLE_MINUTES = 30
    clock.shift(30 * 60)
    answer = here.get("/account/preferences/", headers={**HTMX, "HX-Current-URL": "http://testserver/investigate/?q=a"})
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/account/login/?next=/investigate/%3Fq%3Da&ended=idle"


def test_work_keeps_a_session_alive_but_not_for_ever(here: Client, clock: Clock, settings) -> None:
    settings.IDLE_MINUTES = 30
    for _ in range(28):
        clock.shift(25 * 60)
        assert is_in(here)
    clock.shift(20 * 60)  # twelve hours since the sign-in
    assert here.get("/account/preferences/")["Location"].endswith("&ended=long")


@pytest.mark.parametrize(
    "poll", ["/investigate/arrivals", "/investigate/bulk/notices", "/investigate/live", "/investigate/bulk/?part=live"]
)
@pytest.mark.matrix(63)
def test_what_a_page_asks_by_itself_is_no_activity(
    here: Client, clock: Clock, settings, emailsec: object, poll: str
) -> None:
    settings.IDLE_MINUTES = 30
    for _ in range(2):
        clock.shift(14 * 60)
        assert here.get(poll, headers=HTMX).status_code in (200, 204)
    clock.shift(2 * 60)
    assert not is_in(here)


def test_the_words_of_an_ended_session_are_ours(client: Client, db: None) -> None:
    page = client.get("/account/login/", {"ended": "<b>call this number</b>"}).content.decode()
    assert "call this number" not in page


def test_a_session_is_written_once_a_minute(here: Client, clock: Clock) -> None:
    clock.shift(61)
    is_in(here)
    before = Session.objects.get().session_data
    clock.shift(30)
    is_in(here)
    assert Session.objects.get().session_data == before
    clock.shift(31)
    is_in(here)
    assert Session.objects.get().session_data != before


def test_a_planted_session_is_not_the_one_that_gets_in(clock: Clock, client: Client, ana: Member) -> None:
    client.get("/account/login/passkey/")  # makes a session before the sign-in
    planted = client.session.session_key
    secret = set_up_app(ana)
    sign_in(client)
    client.post("/account/login/second-step/", {"code": code_of(secret)})
    assert is_in(client)
    assert client.session.session_key != planted
    thief = Client()
    thief.cookies["mailwarden"] = planted
    assert not is_in(thief)


# --- what ends them -----------------------------------------------------------------------------------------------


def test_somebody_disabled_is_out_with_the_next_request(here: Client, ana: Member) -> None:
    Member.objects.filter(pk=ana.pk).update(is_active=False)
    assert not is_in(here)


def test_ending_sessions_ends_all_of_one_member_at_once(
    here: Client, there: Client, ana: Member, viewer: Client
) -> None:
    assert end_sessions(ana) == 2
    assert not is_in(here)
    assert not is_in(there)
    assert is_in(viewer)


def test_one_session_can_be_spared(here: Client, there: Client, ana: Member) -> None:
    assert end_sessions(ana, except_key=here.session.session_key) == 1
    assert is_in(here)
    assert not is_in(there)


def test_a_session_after_a_new_password_can_be_ended_too(here: Client, there: Client, ana: Member) -> None:
    """The new password gives the session a new key, which has to be known."""
    here.post("/account/password/", {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW})
    assert is_in(here)
    assert not is_in(there)
    assert end_sessions(ana) == 1
    assert not is_in(here)


# --- one's own list -----------------------------------------------------------------------------------------------


def test_the_list_says_where_one_is_signed_in(here: Client, there: Client, viewer: Client) -> None:
    page = BeautifulSoup(here.get("/account/sessions/").content, "html.parser")
    rows = [row.get_text(" ", strip=True) for row in page.select(".sessions li")]
    assert len(rows) == 2
    assert any("Firefox on Linux" in row and "192.0.2.10" in row and "this one" in row for row in rows)
    assert any("Safari on iPhone" in row and "192.0.2.20" in row and "this one" not in row for row in rows)


def test_signing_out_everywhere_else(here: Client, there: Client) -> None:
    assert here.post("/account/sessions/end-others").status_code == 303
    assert is_in(here)
    assert not is_in(there)
    event = AuditEvent.objects.get(action="account:session_end")
    assert event.detail == {"sessions": 1}


def ends(client: Client) -> list[str]:
    page = BeautifulSoup(client.get("/account/sessions/").content, "html.parser")
    return [str(form["action"]) for form in page.select(".sessions form")]


def test_ending_one(here: Client, there: Client) -> None:
    newest, oldest = ends(here)
    assert here.post(newest).status_code == 303
    assert not is_in(there)
    assert here.post(oldest)["Location"] == "/account/login/"
    assert not is_in(here)


def test_nobody_ends_somebody_elses(here: Client, viewer: Client) -> None:
    assert viewer.post(ends(here)[0]).status_code == 404
    assert is_in(here)


@pytest.mark.parametrize(
    ("agent", "words"),
    [(FIREFOX, "Firefox on Linux"), (SAFARI, "Safari on iPhone"), (EDGE, "Edge on Windows"), ("", "an unknown device"),
     ("curl/8.0 <script>", "an unknown device")],
)  # fmt: skip
def test_devices_have_names_people_know(agent: str, words: str) -> None:
    assert device(agent) == words


# --- proving it again ---------------------------------------------------------------------------------------------


def test_an_old_session_proves_it_again_and_comes_back(here: Client, clock: Clock) -> None:
    clock.shift(601)
    asked = here.get("/account/factors/app/")
    assert asked["Location"] == "/account/prove/?next=%2Faccount%2Ffactors%2Fapp%2F"
    wrong = here.post(asked["Location"], {"password": "wrong", "next": "/account/factors/app/"})
    assert wrong.status_code == 422
    assert here.post(asked["Location"], {"password": PASSWORD})["Location"] == "/account/factors/app/"
    assert here.get("/account/factors/app/").status_code == 200
    assert AuditEvent.objects.filter(action="account:prove").count() == 1


def test_a_code_proves_it_too(here: Client, clock: Clock, ana: Member) -> None:
    secret = set_up_app(ana)
    clock.shift(601)
    page = here.get("/account/prove/?next=/account/factors/").content.decode()
    assert "Use a code" in page
    done = here.post("/account/prove/code/?next=/account/factors/", {"code": code_of(secret)})
    assert done["Location"] == "/account/factors/"
    assert here.get("/account/factors/app/remove/").status_code == 200


def test_proving_leads_nowhere_else(here: Client, clock: Clock) -> None:
    done = here.post("/account/prove/?next=https://evil.example/", {"password": PASSWORD})
    assert done["Location"] == "/investigate/"


def test_whoever_has_nothing_to_prove_it_with_signs_in_anew(clock: Clock, client: Client, db: None) -> None:
    """A member of the provider without a factor here: only the provider can ask them."""
    member = Member.objects.create_user("provider", password=None)
    client.force_login(member)
    clock.shift(601)
    answer = client.get("/account/factors/app/")
    assert answer["Location"] == "/account/login/?next=/account/factors/app/&ended=proof"
    assert not is_in(client)


def test_marks_of_views_are_kept_by_other_decorators() -> None:
    view = requires(Permission.ACCOUNT_OWN)(polls("n")(lambda _request: HttpResponse()))
    assert view.polls(RequestFactory().get("/?n=1"))
    assert not view.polls(RequestFactory().get("/"))
