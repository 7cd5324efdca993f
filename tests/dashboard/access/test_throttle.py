"""Who tries too often waits, in words that say how long; and nobody can keep a colleague out."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from bs4 import BeautifulSoup
from django.core.cache import cache
from django.db import connection
from django.test import Client
from time_machine import Traveller as Clock

from dashboard.access import throttle
from dashboard.access.models import Attempts, FamiliarAddress, Kept, Member
from dashboard.audit.models import AuditEvent
from dashboard.upstream.tasks import purge
from tests.dashboard.access.sign_in import LOGIN, PASSWORD, SECOND_STEP, is_in, set_up_app, sign_in

NOON = "2026-11-21T12:00:00+00:00"


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def guess(client: Client, times: int, name: str = "ana", **more: str) -> None:
    for _ in range(times):
        sign_in(client, name, "wrong", **more)


def test_the_sixth_attempt_in_a_minute_waits_and_is_told_how_long(clock: Clock, client: Client, ana: Member) -> None:
    guess(client, 5)
    clock.shift(20)
    response = sign_in(client)
    page = BeautifulSoup(response.content, "html.parser")
    assert response.status_code == 429
    assert response["Retry-After"] == "40"
    assert page.select_one(".errors").get_text(strip=True) == "Too many attempts.Try again in 40 s."
    assert page.select_one("#id_username")["value"] == "ana"
    assert not is_in(client)


def test_after_the_wait_the_right_password_opens(clock: Clock, client: Client, ana: Member) -> None:
    guess(client, 6)
    clock.shift(61)
    assert sign_in(client).status_code == 302


@pytest.mark.matrix(67)
def test_whoever_goes_on_guessing_waits_longer(clock: Clock, client: Client, ana: Member) -> None:
    for _ in range(4):
        guess(client, 5)
        clock.shift(61)
    response = sign_in(client)
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 3000
    assert "Try again in 56 min" in response.content.decode()


def test_names_nobody_has_are_counted_the_same_way(clock: Clock, client: Client, db: None) -> None:
    guess(client, 5, "nobody")
    assert sign_in(client, "nobody").status_code == 429


@pytest.mark.parametrize("name", ["ANA", " ana ", "\uff41na"])  # the last begins with a full-width a
def test_other_ways_to_write_a_name_are_no_new_name(clock: Clock, client: Client, ana: Member, name: str) -> None:
    guess(client, 5)
    assert sign_in(client, name).status_code == 429


def test_a_right_password_forgets_the_wrong_ones(clock: Clock, client: Client, ana: Member) -> None:
    guess(client, 4)
    sign_in(client)
    client.post("/account/logout/")
    guess(client, 4)
    assert sign_in(client).status_code == 302


@pytest.mark.matrix(67)
def test_a_stranger_cannot_lock_a_colleague_out(clock: Clock, ana: Member) -> None:
    office, stranger = Client(REMOTE_ADDR="192.0.2.10"), Client(REMOTE_ADDR="203.0.113.5")
    assert sign_in(office).status_code == 302
    office.post("/account/logout/")
    for _ in range(6):
        guess(stranger, 5)
        clock.shift(61)
    for number in range(30):
        guess(Client(REMOTE_ADDR=f"198.51.100.{number}"), 2)

    assert sign_in(Client(REMOTE_ADDR="198.51.100.77")).status_code == 429  # somewhere new
    assert sign_in(office).status_code == 302


@pytest.mark.matrix(67)
def test_a_browser_that_was_here_before_is_kept_out_by_nobody(clock: Clock, ana: Member) -> None:
    """Neither from the same address nor from everywhere, though it comes from somewhere new."""
    own, neighbour = Client(REMOTE_ADDR="192.0.2.10"), Client(REMOTE_ADDR="203.0.113.5")
    sign_in(own)
    own.post("/account/logout/")
    for _ in range(6):
        guess(neighbour, 5)
        clock.shift(61)
    guess(neighbour, 31, "somebody")
    for number in range(30):
        guess(Client(REMOTE_ADDR=f"198.51.100.{number}"), 2)

    assert sign_in(neighbour).status_code == 429
    assert sign_in(own, REMOTE_ADDR="203.0.113.5").status_code == 302


def test_a_stolen_mark_of_a_browser_guesses_no_faster_and_not_at_others(clock: Clock, ana: Member, ben: Member) -> None:
    own, thief = Client(), Client(REMOTE_ADDR="203.0.113.5")
    sign_in(own)
    thief.cookies["familiar"] = own.cookies["familiar"].value
    guess(thief, 5)
    assert sign_in(thief).status_code == 429

    guess(thief, 5, "ben")
    clean = Client(REMOTE_ADDR="203.0.113.5")
    assert sign_in(clean, "ben").status_code == 429, "counted for the address as everybody's"

    thief.cookies["familiar"] = "invented:1abcde:signature"
    assert sign_in(thief, "ben").status_code == 429


@pytest.mark.matrix(67)
def test_one_address_cannot_try_many_names(clock: Clock, client: Client, db: None) -> None:
    for number in range(30):
        guess(client, 1, f"name{number}")
    assert sign_in(client, "another").status_code == 429


def test_an_ipv6_network_is_one_address(clock: Clock, db: None) -> None:
    for number in range(5):
        guess(Client(REMOTE_ADDR=f"2001:db8::{number + 1}"), 1)
    assert sign_in(Client(REMOTE_ADDR="2001:db8::ffff:1")).status_code == 429
    assert throttle.network("::ffff:192.0.2.1") == "192.0.2.1"


@pytest.mark.matrix(67)
def test_what_a_client_says_about_its_address_changes_nothing(clock: Clock, client: Client, ana: Member) -> None:
    for number in range(5):
        guess(client, 1, headers={"x-forwarded-for": f"192.0.2.{number}", "x-real-ip": f"192.0.2.{number}"})
    assert sign_in(client, headers={"x-forwarded-for": "192.0.2.99"}).status_code == 429


@pytest.mark.matrix(67)
def test_codes_of_the_second_step_are_counted(clock: Clock, client: Client, ana: Member) -> None:
    set_up_app(ana)
    sign_in(client)
    answers = [client.post(SECOND_STEP, {"code": "000000"}).status_code for _ in range(6)]
    assert answers == [422] * 5 + [429]


def test_proving_it_again_is_counted(clock: Clock, analyst: Client) -> None:
    answers = [analyst.post("/account/prove/", {"password": "wrong"}).status_code for _ in range(6)]
    assert answers == [422] * 5 + [429]


def test_the_old_password_is_counted(clock: Clock, analyst: Client) -> None:
    form = {"oldpassword": "wrong", "password1": "x", "password2": "y"}
    answers = [analyst.post("/account/password/", form).status_code for _ in range(6)]
    assert answers == [422] * 5 + [429]


def test_challenges_for_passkeys_are_counted(clock: Clock, client: Client, db: None) -> None:
    answers = [client.get("/account/login/passkey/").status_code for _ in range(31)]
    assert answers == [200] * 30 + [429]


def test_the_trail_gets_one_line_for_what_waits(clock: Clock, client: Client, ana: Member) -> None:
    guess(client, 9)
    told = AuditEvent.objects.filter(phase="refused").values_list("detail", flat=True)
    assert [dict(detail).get("too_many", False) for detail in told] == [False] * 5 + [True]


def test_counts_are_in_the_database_and_hold_no_names(clock: Clock, client: Client, ana: Member) -> None:
    guess(client, 2)
    assert Attempts.objects.filter(number=2).exists()
    assert not Attempts.objects.filter(key__contains="ana").exists()


def test_what_is_over_is_cleared_away(clock: Clock, client: Client, ana: Member) -> None:
    guess(client, 2)
    sign_in(client)
    cache.set("code", 1, 60)
    clock.shift(13 * 3600)
    purge()
    assert not Attempts.objects.exists()
    assert not Kept.objects.exists()
    assert not UserSession.objects.exists()


def test_familiar_addresses_are_remembered_for_a_while(clock: Clock, ana: Member) -> None:
    sign_in(Client(REMOTE_ADDR="192.0.2.10"))
    clock.shift(91 * 86_400)
    sign_in(Client(REMOTE_ADDR="192.0.2.11"))
    assert list(FamiliarAddress.objects.values_list("address", flat=True)) == ["192.0.2.11"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.matrix(67)
def test_many_at_once_are_counted_one_by_one() -> None:
    """Each thread has a connection of its own, as each process has."""
    waits: list[int] = []

    def try_it() -> None:
        try:
            waits.append(throttle.attempt("password", "ana", "192.0.2.1").wait)
        finally:
            connection.close()

    threads = [threading.Thread(target=try_it) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wait > 0 for wait in waits) == [False] * 5 + [True] * 7


@pytest.mark.django_db(transaction=True)
def test_of_many_that_set_the_same_value_one_gets_it() -> None:
    won: list[bool] = []

    def try_it() -> None:
        try:
            won.append(cache.add("code", 1, timeout=60))
        finally:
            connection.close()

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won.count(True) == 1


def test_the_cache_keeps_plain_values_and_forgets_them_in_time(clock: Clock, db: None) -> None:
    cache.set("history", [1.5, {"a": "ü"}], 30)
    assert cache.get("history") == [1.5, {"a": "ü"}]
    assert cache.add("history", 0, 30) is False
    clock.shift(31)
    assert cache.get("history", "gone") == "gone"
    assert cache.add("history", 0, 30) is True
    assert cache.touch("history", 60)
    clock.shift(45)
    assert cache.get("history") == 0
    assert cache.delete("history")
    assert not cache.delete("history")
    with pytest.raises(TypeError):
        cache.set("code", object())


def test_the_page_of_a_wait_is_the_same_for_everybody(clock: Clock, client: Client, ana: Member) -> None:
    guess(client, 5)
    known = client.post(LOGIN, {"username": "ana", "password": PASSWORD})
    guess(client, 5, "xyz")
    unknown = client.post(LOGIN, {"username": "xyz", "password": PASSWORD})
    assert known.status_code == unknown.status_code == 429
    assert known.headers.keys() == unknown.headers.keys()
