"""The first member of an installation: may do everything, and comes in by a link that works once."""

from __future__ import annotations

from io import StringIO
from urllib.parse import urlsplit

from django.core.management import call_command
from django.test import Client

from dashboard.access.models import Member, TeamRole
from dashboard.access.roles import Permission
from dashboard.audit.models import AuditEvent

PASSWORD = "nine lamps over water"
ADDRESS = "https://desk.corp.example"


def told() -> str:
    out = StringIO()
    call_command("first_admin", "--address", ADDRESS, stdout=out)
    return out.getvalue()


def test_the_first_member_may_do_everything_and_comes_in_once(client: Client, db: None) -> None:
    link = told().split()[-1]

    page = client.get(urlsplit(link).path, follow=True)
    answer = client.post(page.redirect_chain[-1][0], {"new_password1": PASSWORD, "new_password2": PASSWORD})

    first = Member.objects.get()
    assert link.startswith(f"{ADDRESS}/account/first-sign-in/")
    assert (answer.status_code, answer["Location"]) == (302, "/investigate/")
    assert first.permissions == set(Permission)
    assert TeamRole.objects.get().label == "Owner"
    assert AuditEvent.objects.filter(action="team:first_member", targets=["admin"]).exists()
    assert "does not work any more" in Client().get(urlsplit(link).path, follow=True).content.decode()
    assert told() == "Sign in with your own name and password.\n"


def test_an_installation_with_members_gets_no_second_first_one(ana: Member) -> None:
    assert told() == "Sign in with your own name and password.\n"
    assert Member.objects.count() == 1
    assert not TeamRole.objects.exists()


def test_until_the_password_is_chosen_each_start_prints_a_link(db: None) -> None:
    assert "chooses a password here" in told()
    assert "chooses a password here" in told()
    assert Member.objects.count() == 1
