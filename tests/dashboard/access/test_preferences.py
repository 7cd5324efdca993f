"""One's own preferences, by the form and by the switches in the top bar."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client

from dashboard.access.models import Member

Soup = Callable[[HttpResponse], BeautifulSoup]
URL = "/account/preferences/"
CHOICES = {
    "theme": "dark",
    "density": "compact",
    "text_size": "16",
    "time_zone": "Europe/Berlin",
    "shows_local_time": "on",
    "undo_seconds": "15",
}


def test_everything_is_saved(analyst: Client, ana: Member) -> None:
    response = analyst.post(URL, CHOICES)
    ana.refresh_from_db()
    assert (response.status_code, response["Location"]) == (303, f"{URL}?saved=1")
    assert (ana.theme, ana.density, ana.text_size, ana.undo_seconds) == ("dark", "compact", 16, 15)
    assert (ana.time_zone, ana.shows_local_time) == ("Europe/Berlin", True)
    assert (ana.has_auto_advance, ana.has_single_keys) == (False, False)


@pytest.mark.parametrize(
    ("field", "value"), [("time_zone", "Mars/Olympus"), ("theme", "pink"), ("undo_seconds", "-1"), ("text_size", "99")]
)
def test_a_senseless_choice_is_refused_beside_its_field(
    analyst: Client, ana: Member, soup: Soup, field: str, value: str
) -> None:
    response = analyst.post(URL, {**CHOICES, field: value})
    page = soup(response)
    ana.refresh_from_db()
    assert response.status_code == 422
    assert page.select_one(f"#id_{field}")["aria-invalid"] == "true"  # type: ignore[index]
    assert page.html["data-theme"] == "system"  # type: ignore[index]  what was refused does not show
    assert ana.density == "standard"


def test_nobody_gives_himself_a_role(analyst: Client, ana: Member) -> None:
    analyst.post(URL, {**CHOICES, "role": "admin", "is_superuser": "on", "username": "root"})
    ana.refresh_from_db()
    assert (ana.role, ana.is_superuser, ana.username) == ("analyst", False, "ana")


def test_the_theme_switch_goes_round(analyst: Client, ana: Member) -> None:
    seen = []
    for _ in range(3):
        response = analyst.post(f"{URL}switch/theme/", {"next": "/investigate/?q=a"})
        assert (response.status_code, response["Location"]) == (303, "/investigate/?q=a")
        ana.refresh_from_db()
        seen.append(ana.theme)
    assert seen == ["dark", "light", "system"]


def test_the_time_switch(analyst: Client, ana: Member) -> None:
    analyst.post(f"{URL}switch/time/")
    ana.refresh_from_db()
    assert ana.shows_local_time is True


def test_an_unknown_switch_is_not_there(analyst: Client) -> None:
    assert analyst.post(f"{URL}switch/role/").status_code == 404


def test_a_link_switches_nothing(analyst: Client) -> None:
    assert analyst.get(f"{URL}switch/theme/").status_code == 405


def test_every_role_has_preferences(viewer: Client, auditor: Client, admin: Client) -> None:
    assert [client.get(URL).status_code for client in (viewer, auditor, admin)] == [200, 200, 200]


def test_nobody_elses(client: Client, db: None) -> None:
    assert client.post(URL, CHOICES).status_code == 302
