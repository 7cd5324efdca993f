"""Fixtures for the whole suite: the simulator behind the real client, one member for each role, signed-in browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from bs4 import BeautifulSoup
from django.db import connection
from django.http import HttpResponse
from django.test import Client, TransactionTestCase

from dashboard.access.models import Member, TeamRole
from dashboard.access.roles import Permission, Role
from dashboard.audit import guards
from dashboard.celery import app as celery_app
from dashboard.installation import values
from dashboard.simulator import Simulator
from tests.simulated import serving, simulated_account


@pytest.fixture(scope="session", autouse=True)
def _tables_can_be_emptied_between_tests() -> Iterator[None]:
    """Transactional tests end with every table emptied, which the audit trail's triggers would refuse."""
    original = TransactionTestCase._fixture_teardown

    def teardown(case: TransactionTestCase) -> None:
        guards.remove(connection)
        original(case)
        guards.install(connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
        yield


@pytest.fixture(autouse=True)
def _nothing_is_set_in_the_browser() -> None:
    """Each test begins with the values of its settings, and asks the database for others only after a change."""
    values.believe({}, seconds=3600)


HTMX = {"HX-Request": "true"}

MEMBERS = {
    "ana": Role.ANALYST,
    "ben": Role.RESPONDER,
    "pia": Role.POLICY_MANAGER,
    "otto": Role.AUDITOR,
    "ada": Role.ADMIN,
    "vera": Role.VIEWER,
}


@pytest.fixture
def emailsec(db: None) -> Iterator[object]:
    """The simulator behind the real client; what tests ask `get_client()` for reaches it without a socket."""

    simulator = simulated_account(
        messages=300,
        seed=7,
    )
    with serving(simulator):
        yield simulator


@pytest.fixture
def calls(emailsec: Simulator) -> Callable[[], list[str]]:
    """Operations asked of the API since the last time this was asked."""
    seen = len(emailsec.calls)

    def since() -> list[str]:
        nonlocal seen
        fresh = [call.operation for call in emailsec.calls[seen:]]
        seen = len(emailsec.calls)
        return fresh

    return since


@pytest.fixture
def bells(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, float | None]]:
    """Bells that were rung, instead of a broker: (task, argument, countdown)."""
    rung: list[tuple[str, str, float | None]] = []

    def send_task(name: str, args: list[str], countdown: float | None = None, **_: object) -> None:
        rung.append((name, args[0], countdown))

    monkeypatch.setattr(celery_app, "send_task", send_task)
    return rung


def _member(name: str) -> Member:
    return Member.objects.create_user(
        name, f"{name}@corp.example", "correct horse battery", role=MEMBERS[name], first_name=name.title()
    )


@pytest.fixture
def ana(db: None) -> Member:
    return _member("ana")


@pytest.fixture
def ben(db: None) -> Member:
    return _member("ben")


@pytest.fixture
def pia(db: None) -> Member:
    return _member("pia")


@pytest.fixture
def otto(db: None) -> Member:
    return _member("otto")


@pytest.fixture
def ada(db: None) -> Member:
    return _member("ada")


@pytest.fixture
def vera(db: None) -> Member:
    return _member("vera")


def _browser(member: Member) -> Client:
    client = Client()
    client.force_login(member)
    return client


@pytest.fixture
def analyst(ana: Member) -> Client:
    return _browser(ana)


@pytest.fixture
def responder(ben: Member) -> Client:
    return _browser(ben)


@pytest.fixture
def policy_manager(pia: Member) -> Client:
    return _browser(pia)


@pytest.fixture
def auditor(otto: Member) -> Client:
    return _browser(otto)


@pytest.fixture
def admin(ada: Member) -> Client:
    return _browser(ada)


@pytest.fixture
def viewer(vera: Member) -> Client:
    return _browser(vera)


@pytest.fixture
def browser_with(db: None) -> Callable[..., Client]:
    """The browser of a member whose role a team composed of exactly these rights."""

    def sign_in(*rights: Permission) -> Client:
        name = f"composed-{TeamRole.objects.count() + 1}"
        held = [Permission.ACCOUNT_OWN.value, *(right.value for right in rights)]
        TeamRole.objects.create(name=name, label=name.title(), permissions=held)
        return _browser(Member.objects.create_user(name, f"{name}@corp.example", "correct horse battery", role=name))

    return sign_in


@pytest.fixture
def soup() -> Callable[[HttpResponse], BeautifulSoup]:
    return lambda response: BeautifulSoup(response.content, "html.parser")
