"""The frame of every page: who is signed in, what waits, the budget, safe headers, and sign-in for fragments."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable

import pytest
import time_machine
from bs4 import BeautifulSoup
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpResponse
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.upstream.connection import shared_meter
from dashboard.upstream.models import Heartbeat
from dashboard.web.context import Frame
from investigate.models import Action
from tests.conftest import HTMX

Soup = Callable[[HttpResponse], BeautifulSoup]
PAGE = "/account/preferences/"


def footer(response: HttpResponse, soup: Soup) -> str:
    return " ".join(soup(response).select_one("#footer").get_text(" ").split())  # type: ignore[union-attr]


def test_status_line(analyst: Client, soup: Soup) -> None:
    Heartbeat.objects.create(name="people", beat_at=timezone.now())
    text = footer(analyst.get(PAGE), soup)
    assert text.startswith(f"waiting 0 budget {settings.CALL_LIMIT}/{settings.CALL_LIMIT}")
    assert "worker ok" in text
    assert "UTC" in text


def test_status_line_tells_a_silent_worker_and_a_frozen_budget(analyst: Client, soup: Soup) -> None:
    Heartbeat.objects.create(name="people", beat_at=timezone.now() - dt.timedelta(minutes=5))
    shared_meter().freeze(120)
    text = footer(analyst.get(PAGE), soup)
    assert "worker silent for 5 min" in text
    assert f"budget 0/{settings.CALL_LIMIT}, all calls paused" in text


@pytest.mark.parametrize(("silence", "told"), [(30, "worker ok"), (36, "worker silent for 36 s")])
def test_two_missed_beats_are_a_silent_worker(analyst: Client, soup: Soup, silence: int, told: str) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        Heartbeat.objects.create(name="people", beat_at=timezone.now() - dt.timedelta(seconds=silence))
        assert told in footer(analyst.get(PAGE), soup)


def test_status_line_counts_what_is_unknown_apart(analyst: Client, ana: Member, soup: Soup) -> None:
    for number, state in enumerate(["waiting", "sending", "unknown", "done"]):
        now = timezone.now()
        Action.objects.create(operation_key=f"key-{number}", actor=ana, state=state, created_at=now, due_at=now)
    assert footer(analyst.get(PAGE), soup).startswith("waiting 2 1 unknown budget")


def test_a_fragment_that_shows_no_frame_asks_nothing(ana: Member, django_assert_num_queries: Callable) -> None:
    request = RequestFactory().get("/")
    request.user = ana
    with django_assert_num_queries(0):
        render_to_string("includes/_loading.html", request=request)


def test_a_database_that_does_not_answer_leaves_gaps(ana: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        @property
        def is_authenticated(self) -> bool:
            raise DatabaseError

    request = RequestFactory().get("/")
    request.user = Broken()  # type: ignore[assignment]
    frame = Frame(request)
    assert frame.member is None
    assert frame.menu == []
    assert frame.preferences.theme == "system"


def test_menu_shows_where_one_is(analyst: Client, soup: Soup) -> None:
    rooms = soup(analyst.get(PAGE)).select("nav.wide a")
    named = [room.contents[0].strip() for room in rooms]  # type: ignore[union-attr]
    assert named == [
        "Overview", "Investigate", "Queue", "Submissions", "PhishGuard", "Campaigns", "Jobs", "Approvals", "Actions",
        "Settings", "Team",
    ]  # fmt: skip


def test_the_menu_of_the_person_leads_to_their_sign_in_and_names_their_limits(
    analyst: Client, ana: Member, soup: Soup
) -> None:
    menu = soup(analyst.get(PAGE)).select_one(".person .menu-list")
    assert menu is not None
    links = [link.text for link in menu.select("a")]
    assert links[-3:] == ["Change password", "Second factors", "Sessions"]
    assert "mail to" not in menu.text

    ana.domains = ["corp.example"]
    ana.save(update_fields=["domains"])

    menu = soup(analyst.get(PAGE)).select_one(".person .menu-list")
    assert menu is not None
    assert "mail to corp.example" in menu.text


def test_preferences_reach_the_page(analyst: Client, ana: Member, soup: Soup) -> None:
    ana.theme, ana.density, ana.text_size, ana.has_single_keys = "dark", "compact", 16, False
    ana.save(update_fields=["theme", "density", "text_size", "has_single_keys"])
    page = soup(analyst.get(PAGE))
    assert page.html is not None
    assert page.html["data-theme"] == "dark"
    assert page.html["data-density"] == "compact"
    assert page.html["data-text-size"] == "16"
    assert page.body is not None
    assert page.body["data-single-keys"] == "off"


def test_htmx_is_told_what_to_do_with_every_status(client: Client, soup: Soup) -> None:
    config = json.loads(soup(client.get("/account/login/")).select_one("meta[name=htmx-config]")["content"])  # type: ignore[index]
    assert config["allowEval"] is config["allowScriptTags"] is config["includeIndicatorStyles"] is False
    assert config["selfRequestsOnly"] is True
    assert config["historyCacheSize"] == 0
    assert config["historyRestoreAsHxRequest"] is False

    def handling(status: int) -> dict:
        return next(rule for rule in config["responseHandling"] if re.search(rule["code"], str(status)))

    assert handling(204)["swap"] is False
    assert handling(200) == {"code": "[23]..", "swap": True}
    assert handling(401)["swap"] is False
    assert "target" not in handling(422)
    for status in (400, 403, 404, 409, 429, 500, 502, 503, 504):
        assert handling(status)["target"] == "#notice"


@pytest.mark.matrix(63)
def test_a_fragment_leaves_for_the_sign_in_when_the_session_ended(client: Client) -> None:
    response = client.get(PAGE, headers={**HTMX, "HX-Current-URL": "http://testserver/investigate/?q=a&open=b"})
    assert response.status_code == 401
    assert response["HX-Redirect"] == "/account/login/?next=/investigate/%3Fq%3Da%26open%3Db"
    assert response.content == b""


def test_a_page_leaves_for_the_sign_in(client: Client) -> None:
    response = client.get(PAGE)
    assert response.status_code == 302
    assert response["Location"] == f"/account/login/?next={PAGE}"


@pytest.mark.parametrize(
    ("sent_from", "back_to"),
    [
        ("http://testserver/investigate/?q=a#x", "/investigate/%3Fq%3Da"),
        ("", "/investigate/"),
        ("https://evil.example/investigate/a/", "/investigate/"),
        ("http://testserver//evil.example/", "/investigate/"),
        ("http://testserver:bad/", "/investigate/"),
        ("http://[", "/investigate/"),
    ],
)
def test_a_form_sent_after_the_session_ended_leads_back_to_its_page(
    client: Client, sent_from: str, back_to: str
) -> None:
    response = client.post("/investigate/actions/undo-last", headers={"Referer": sent_from})
    assert response.status_code == 302
    assert response["Location"] == f"/account/login/?next={back_to}"


def test_an_address_that_only_takes_forms_says_so(analyst: Client, soup: Soup) -> None:
    page = analyst.get("/investigate/actions/undo-last")
    notice = analyst.get("/investigate/actions/undo-last", headers=HTMX)
    assert (page.status_code, page["Allow"]) == (405, "POST")
    assert soup(page).select_one("h1").text == "This address does not work that way."  # type: ignore[union-attr]
    assert (notice.status_code, notice["HX-Retarget"]) == (405, "#notice")


@pytest.mark.parametrize("path", ["/account/login/", PAGE, "/nowhere", "/account/preferences/switch/theme/"])
def test_every_answer_carries_the_safe_headers(analyst: Client, path: str) -> None:
    response = analyst.get(path)
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors" in policy
    assert "unsafe" not in policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert "no-store" in response["Cache-Control"]
    assert "HX-Request" in response["Vary"]


@pytest.mark.parametrize("path", ["/account/login/", PAGE, "/account/password/", "/nowhere"])
def test_pages_hold_nothing_inline_and_nothing_from_elsewhere(analyst: Client, soup: Soup, path: str) -> None:
    page = soup(analyst.get(path) if path != "/account/login/" else Client().get(path))
    assert len(page.find_all("h1")) == 1
    ids = [element["id"] for element in page.select("[id]")]
    assert len(ids) == len(set(ids))
    for element in page.find_all(True):
        assert element.name != "style"
        assert not [name for name in element.attrs if name == "style" or name.startswith(("on", "hx-on"))]
        for name in ("src", "href", "action"):
            assert str(element.get(name, "/")).startswith(("/", "#", "?"))
    assert all(script.get("src") and not script.text for script in page.find_all("script"))
    for field in page.select("input:not([type=hidden]), select, textarea"):
        assert page.select_one(f"label[for={field['id']}]"), field
