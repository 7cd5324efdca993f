"""Nobody learns from an answer whether a name or an address belongs to somebody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth import hashers
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from kombu.exceptions import OperationalError
from structlog.testing import capture_logs

from dashboard.access import tasks
from dashboard.access.models import Member
from dashboard.celery import app
from tests.dashboard.access.sign_in import NEW, PASSWORD, is_in, set_up_app, sign_in, without_tokens

CAUSES = {
    "known": "wrong password for us",
    "disabled": PASSWORD,
    "provider": PASSWORD,
    "nobody": PASSWORD,
    "withapp": "wrong password for us",
}


@pytest.fixture
def people(db: None) -> None:
    Member.objects.create_user("known", "known@corp.example", PASSWORD)
    Member.objects.create_user("disabled", "disabled@corp.example", PASSWORD, is_active=False)
    Member.objects.create_user("provider", "provider@corp.example", None)
    set_up_app(Member.objects.create_user("withapp", "withapp@corp.example", PASSWORD))


@pytest.mark.parametrize("name", CAUSES)
def test_every_refusal_is_the_same_page(client: Client, people: None, name: str) -> None:
    refusal = sign_in(client, name, CAUSES[name])
    other = sign_in(Client(), "somebody", PASSWORD)
    assert refusal.status_code == other.status_code == 422
    assert without_tokens(refusal).replace(name.encode(), b"somebody") == without_tokens(other)
    assert refusal.headers.keys() == other.headers.keys()
    assert not is_in(client)


@pytest.mark.parametrize("name", CAUSES)
def test_every_refusal_costs_the_same_work(
    client: Client, people: None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many passwords hashed and questions to the database as for a name nobody has: no clock tells them apart."""

    def cost(name: str, password: str) -> tuple[int, int]:
        hashed = 0
        hasher = hashers.get_hasher()
        original: Callable[..., str] = type(hasher).encode

        def encode(*args: object, **kwargs: object) -> str:
            nonlocal hashed
            hashed += 1
            return original(*args, **kwargs)

        with (
            monkeypatch.context() as patch,
            CaptureQueriesContext(
                connection,
            ) as queries,
        ):
            patch.setattr(type(hasher), "encode", encode)
            sign_in(Client(REMOTE_ADDR="192.0.2.44"), name, password)
        return hashed, len(queries)

    cost("first", PASSWORD)  # where nothing was recorded before, the first row makes the head of the trail
    assert cost(name, CAUSES[name]) == cost("somebody", PASSWORD) == (1, cost("third", PASSWORD)[1])


@pytest.fixture
def sends_mail(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SENDS_MAIL, settings.ADDRESS = True, "https://desk.corp.example"
    monkeypatch.setattr(tasks, "ring", lambda task, argument: app.tasks[task](argument) is None)


@pytest.mark.parametrize("name", CAUSES)
def test_asking_for_a_new_password_tells_nothing(client: Client, people: None, sends_mail: None, name: str) -> None:
    first = client.post("/account/password/reset/", {"email": f"{name}@corp.example"}, follow=True)
    other = client.post("/account/password/reset/", {"email": "somebody@corp.example"}, follow=True)
    assert first.redirect_chain == other.redirect_chain
    assert without_tokens(first) == without_tokens(other)
    assert [message.to for message in mail.outbox] == (
        [[f"{name}@corp.example"]] if name in ("known", "withapp") else []
    )


def _away(*_: object, **__: object) -> None:
    raise OperationalError("connection refused")


def test_a_broker_that_is_away_is_told_to_everybody_alike(
    client: Client, people: None, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SENDS_MAIL, settings.ADDRESS = True, "https://desk.corp.example"
    monkeypatch.setattr(app, "send_task", _away)
    known = client.post("/account/password/reset/", {"email": "known@corp.example"})
    other = client.post("/account/password/reset/", {"email": "knowm@corp.example"})
    assert known.status_code == other.status_code == 503
    assert "No mail can be sent at the moment" in known.content.decode()
    assert without_tokens(known).replace(b"known@", b"knowm@") == without_tokens(other)


def test_the_broker_and_the_logs_never_see_an_address(
    client: Client, people: None, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SENDS_MAIL, settings.ADDRESS = True, "https://desk.corp.example"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # nobody answers there
    rung: list[str] = []
    monkeypatch.setattr(tasks, "ring", lambda _task, argument: rung.append(argument) is None)

    with capture_logs() as logs:
        for name in ("known", "nobody"):
            client.post("/account/password/reset/", {"email": f"{name}@corp.example"})
        for argument in rung:
            tasks.send_password_reset(argument)

    assert len(rung) == 2
    assert [(one["event"], one.get("cause")) for one in logs if "reset" in one["event"]] == [
        ("password_reset_not_sent", "ConnectionRefusedError")
    ]
    assert "corp.example" not in f"{rung}{logs}"


def test_where_no_mail_is_set_up_the_page_says_whom_to_ask(client: Client, people: None) -> None:
    page = client.get("/account/password/reset/").content.decode()
    assert "An admin of your team can give you a link" in page
    assert client.post("/account/password/reset/", {"email": "known@corp.example"}).status_code == 404


def link_of(client: Client, name: str = "known", **headers: str) -> str:
    client.post("/account/password/reset/", {"email": f"{name}@corp.example"}, **headers)
    return next(line for line in str(mail.outbox[-1].body).splitlines() if line.startswith("https://"))


def test_the_link_starts_with_the_address_of_the_settings(client: Client, people: None, sends_mail: None) -> None:
    link = link_of(client, headers={"host": "localhost", "x-forwarded-host": "evil.example"})
    assert link.startswith("https://desk.corp.example/account/password/reset/")


def test_the_link_sets_the_password_once_and_ends_sessions_and_signs_nobody_in(
    client: Client, people: None, sends_mail: None
) -> None:
    elsewhere = Client()
    sign_in(elsewhere, "known")
    path = link_of(client).removeprefix("https://desk.corp.example")
    form = client.get(path, follow=True)
    assert form.redirect_chain[-1][0].endswith("-set-password/")  # the key is not left in the address
    done = client.post(form.redirect_chain[-1][0], {"password1": NEW, "password2": NEW})
    assert done["Location"] == "/account/login/?reset=1"
    assert not is_in(client)
    assert not is_in(elsewhere)
    assert "does not work any more" in Client().get(path, follow=True).content.decode()
    assert sign_in(client, "known", NEW)["Location"] == "/investigate/"


def test_a_new_password_does_not_skip_the_second_factor(client: Client, people: None, sends_mail: None) -> None:
    path = link_of(client, "withapp").removeprefix("https://desk.corp.example")
    client.post(client.get(path, follow=True).redirect_chain[-1][0], {"password1": NEW, "password2": NEW})
    assert sign_in(client, "withapp", NEW)["Location"] == "/account/login/second-step/"
    assert not is_in(client)


def test_a_weak_new_password_is_explained(client: Client, people: None, sends_mail: None) -> None:
    path = client.get(link_of(client).removeprefix("https://desk.corp.example"), follow=True).redirect_chain[-1][0]
    refused = client.post(path, {"password1": "known", "password2": "known"})
    assert refused.status_code == 422
    assert "at least 12 characters" in refused.content.decode()


@pytest.mark.parametrize("key", ["1-aaa-bbb", "zzzzzz-aaa-bbb", "1-set-password"])
def test_invented_links_do_nothing(client: Client, people: None, key: str) -> None:
    assert "does not work any more" in client.get(f"/account/password/reset/{key}/", follow=True).content.decode()
