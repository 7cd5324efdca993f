"""The list of members and the page of one: who sees what, what a change means, and what nobody may change."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from tests.dashboard.access.team.conftest import MakeRole, SignIn

Soup = Callable[[HttpResponse], BeautifulSoup]
LIST = "/team/"


def url_of(member: Member) -> str:
    return reverse("team:member", args=[member.pk])


def form(member: Member, **changes: Any) -> dict[str, str]:
    values = {
        "role": member.role,
        "domains": "\n".join(member.domains),
        **({"is_active": "on"} if member.is_active else {}),
    }
    values |= {name: value for name, value in changes.items() if value is not None}
    return {name: value for name, value in values.items() if changes.get(name, "") is not None}


def means(page: BeautifulSoup) -> list[str]:
    return [" ".join(one.get_text().split()) for one in page.select(".means li")]


def carried(page: BeautifulSoup) -> dict[str, str]:
    """What the page that confirms would send, as a browser sends it."""
    return {one["name"]: one.get("value", "") for one in page.select("main form input[name]")}  # type: ignore[misc]


def save(client: Client, member: Member, soup: Soup, **changes: Any) -> HttpResponse:
    """Fill the form in, read what it means, and save it."""
    answer = client.post(url_of(member), form(member, **changes))
    if answer.status_code != 200:
        return answer
    return client.post(url_of(member), carried(soup(answer)))


def now(member: Member) -> Member:
    return Member.objects.get(pk=member.pk)


def last(phase: str = "done") -> AuditEvent:
    return AuditEvent.objects.filter(phase=phase, action__startswith="team:").latest("sequence")


# --- the list ---------------------------------------------------------------------------------------------------------


def test_everybody_sees_names_and_roles_and_no_more(viewer: Client, ana: Member, soup: Soup) -> None:
    page = soup(viewer.get(LIST))

    assert "Ana" in page.select_one("table").text
    assert "Analyst" in page.select_one("table").text
    assert "ana@corp.example" not in page.text
    assert not {"Last seen", "Sessions", "Second factor"} & {one.text for one in page.select("thead th")}
    assert not page.select('main a[href*="/team/members/"]')


def test_who_manages_sees_how_people_sign_in(admin: Client, ana: Member, soup: Soup) -> None:
    Authenticator.objects.create(user=ana, type=Authenticator.Type.TOTP, data={})

    rows = soup(admin.get(LIST)).select("tbody tr")

    row = next(row for row in rows if "Ana" in row.text)
    assert "ana@corp.example" in row.text
    assert row.select_one('[data-label="Second factor"]').text == "yes"
    assert next(row for row in rows if "Ada" in row.text).select_one('[data-label="Second factor"]').text == "no"


def test_recovery_codes_alone_are_no_second_factor(admin: Client, ana: Member, soup: Soup) -> None:
    Authenticator.objects.create(user=ana, type=Authenticator.Type.RECOVERY_CODES, data={})

    row = next(row for row in soup(admin.get(LIST)).select("tbody tr") if "Ana" in row.text)

    assert row.select_one('[data-label="Second factor"]').text == "no"


def test_who_is_limited_to_domains_learns_no_other_domain(viewer: Client, vera: Member, ana: Member) -> None:
    Member.objects.filter(pk=ana.pk).update(domains=["secret.example"])
    assert "secret.example" in viewer.get(LIST).content.decode()

    Member.objects.filter(pk=vera.pk).update(domains=["corp.example"])

    assert "secret.example" not in viewer.get(LIST).content.decode()


def test_sessions_are_counted_and_ended(admin: Client, analyst: Client, ana: Member, soup: Soup) -> None:
    assert "1 open" in soup(admin.get(url_of(ana))).select_one(".facts").text  # type: ignore[union-attr]

    answer = admin.post(reverse("team:end_sessions", args=[ana.pk]))

    assert answer.status_code == 303
    assert analyst.get("/account/preferences/").status_code == 302
    assert (last().action, last().targets) == ("team:end_sessions", ["ana"])


# --- changing a member ------------------------------------------------------------------------------------------------


def test_a_change_is_read_as_sentences_before_it_is_saved(admin: Client, ana: Member, soup: Soup) -> None:
    answer = admin.post(url_of(ana), form(ana, role="viewer", domains="corp.example"))

    first, *_ = said = means(soup(answer))
    assert first.startswith("Ana loses the right to take messages")
    assert len(said) > 3, "each right is a line of its own"
    assert "Ana loses mail to all domains but corp.example." in said
    assert (now(ana).role, now(ana).domains) == ("analyst", [])
    assert not AuditEvent.objects.filter(action="team:change_member").exists()


def test_a_change_is_saved_recorded_and_ends_the_sessions(
    admin: Client, analyst: Client, ana: Member, soup: Soup
) -> None:
    answer = save(admin, ana, soup, role="responder", domains="Bücher.example\ncorp.example\nCORP.example.")

    assert answer.status_code == 303
    assert (now(ana).role, now(ana).domains) == ("responder", ["corp.example", "xn--bcher-kva.example"])
    event = last()
    assert (event.action, event.targets, event.actor_name) == ("team:change_member", ["ana"], "Ada")
    assert event.detail["before"] == {"role": "analyst", "domains": [], "active": True}
    assert event.detail["after"]["role"] == "responder"
    assert analyst.get("/account/preferences/").status_code == 302


@pytest.mark.parametrize(
    "domains", ["corp", "a b.example", "-x.example", "http://corp.example", "x@y@corp..example", "*"]
)
def test_what_is_no_domain_is_refused(admin: Client, ana: Member, soup: Soup, domains: str) -> None:
    answer = admin.post(url_of(ana), form(ana, domains=domains))

    assert answer.status_code == 422
    assert "is not a domain name" in soup(answer).select_one(".errors").text  # type: ignore[union-attr]


def test_the_end_of_access_is_the_first_that_is_read_and_stands_beside_the_name(
    admin: Client, ana: Member, soup: Soup
) -> None:
    first, *_ = means(soup(admin.post(url_of(ana), form(ana, is_active=None))))
    assert first == "Access ended: Ana cannot sign in any more, and open sessions end."

    save(admin, ana, soup, is_active=None)

    assert "Ended" in soup(admin.get(url_of(ana))).select_one("h1").text  # type: ignore[union-attr]


def test_an_ended_member_cannot_sign_in_and_can_be_let_in_again(
    admin: Client, ana: Member, client: Client, soup: Soup
) -> None:
    save(admin, ana, soup, is_active=None)

    assert not now(ana).is_active
    assert not client.login(username="ana", password="correct horse battery")

    save(admin, now(ana), soup, is_active="on")

    assert now(ana).is_active


def test_a_change_that_was_overtaken_is_shown_again(admin: Client, ana: Member, soup: Soup) -> None:
    seen = carried(soup(admin.post(url_of(ana), form(ana, role="responder"))))
    Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)

    answer = admin.post(url_of(ana), seen)

    assert answer.status_code == 409
    assert "Somebody changed this in the meantime" in answer.content.decode()
    assert now(ana).role == "viewer"
    assert admin.post(url_of(ana), carried(soup(answer))).status_code == 303
    assert now(ana).role == "responder"


def test_a_role_that_is_none_is_refused(admin: Client, ana: Member) -> None:
    assert admin.post(url_of(ana), form(ana, role="superuser")).status_code == 422
    assert now(ana).role == "analyst"


# --- who may not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["analyst", "responder", "policy_manager", "auditor", "viewer"])
def test_who_does_not_manage_changes_nobody(
    who: str, request: pytest.FixtureRequest, ada: Member, vera: Member
) -> None:
    client: Client = request.getfixturevalue(who)

    for member in (ada, vera):
        assert client.get(url_of(member)).status_code == 403
        assert client.post(url_of(member), form(member, role="viewer", seen="x")).status_code == 403

    assert (now(ada).role, now(vera).role) == ("admin", "viewer")


def test_who_manages_but_is_limited_to_domains_changes_nobody(admin: Client, ada: Member, ana: Member) -> None:
    Member.objects.filter(pk=ada.pk).update(domains=["corp.example"])

    assert admin.post(url_of(ana), form(ana, role="viewer")).status_code == 403


def test_ones_own_page_has_no_control_and_takes_no_form(admin: Client, ada: Member, soup: Soup) -> None:
    page = soup(admin.get(url_of(ada)))

    assert not page.select("main form")
    assert admin.post(url_of(ada), form(ada, role="responder")).status_code == 403
    assert admin.post(url_of(ada), form(ada, role="responder", seen="0" * 16)).status_code == 403
    assert admin.post(url_of(ada), form(ada, domains="corp.example")).status_code == 403
    assert admin.post(reverse("team:reset_sign_in", args=[ada.pk])).status_code == 403
    assert (now(ada).role, now(ada).domains, now(ada).is_active) == ("admin", [], True)
    assert now(ada).has_usable_password()
    assert AuditEvent.objects.filter(action="team:change_member", phase="refused", targets=["ada"]).count() == 3


def test_nobody_gives_what_they_do_not_hold(
    hedy: Member, signed_in: SignIn, vera: Member, soup: Soup, make_role: MakeRole
) -> None:
    helper = signed_in(hedy)

    answer = helper.post(url_of(vera), form(vera, role="responder"))

    assert answer.status_code == 403
    assert "which you do not hold" in soup(answer).select_one(".errors").text  # type: ignore[union-attr]
    assert last("refused").targets == ["vera"]
    assert helper.post(url_of(vera), form(vera, role="responder", seen="0" * 16)).status_code == 403
    assert now(vera).role == "viewer"
    assert save(helper, vera, soup, role=hedy.role).status_code == 303


def test_who_holds_more_is_not_changed_by_who_holds_less(
    hedy: Member, signed_in: SignIn, ada: Member, ben: Member
) -> None:
    helper = signed_in(hedy)

    assert helper.post(url_of(ada), form(ada, is_active=None)).status_code == 403
    assert helper.post(url_of(ben), form(ben, role="viewer")).status_code == 403
    assert helper.post(reverse("team:reset_sign_in", args=[ben.pk])).status_code == 403
    assert now(ada).is_active
    assert now(ben).has_usable_password()


def test_somebody_who_manages_the_team_remains(admin: Client, ada: Member, make_role: MakeRole, soup: Soup) -> None:
    other = Member.objects.create_user("eva", "eva@corp.example", "x", role=Role.ADMIN, first_name="Eva")

    assert save(admin, other, soup, is_active=None).status_code == 303
    assert admin.post(url_of(ada), form(ada, is_active=None)).status_code == 403

    assert now(ada).is_active


def test_who_was_just_ended_ends_nobody(admin: Client, ada: Member, ana: Member, soup: Soup) -> None:
    """Two who end each other at the same moment: the second finds that it no longer manages the team."""
    from django.core.exceptions import PermissionDenied

    from dashboard.access.team import services

    wanted = services.Standing("admin", (), is_active=False)
    eva = Member.objects.create_user("eva", "eva@corp.example", "x", role=Role.ADMIN, first_name="Eva")
    by_ada = services.plan_member(actor=ada, member=eva, wanted=wanted)
    by_eva = services.plan_member(actor=eva, member=ada, wanted=wanted)
    services.change_member(actor=ada, member_id=eva.pk, wanted=wanted, seen=by_ada.seen)

    with pytest.raises(PermissionDenied):
        services.change_member(actor=eva, member_id=ada.pk, wanted=wanted, seen=by_eva.seen)

    assert now(ada).is_active


# --- a new sign-in ----------------------------------------------------------------------------------------------------


def test_a_reset_takes_password_and_factors_and_gives_a_link_that_works_once(
    admin: Client, analyst: Client, ana: Member, soup: Soup
) -> None:
    Authenticator.objects.create(user=ana, type=Authenticator.Type.TOTP, data={})
    address = reverse("team:reset_sign_in", args=[ana.pk])
    assert "loses the password and all second factors" in admin.get(address).content.decode()
    assert now(ana).has_usable_password()

    page = soup(admin.post(address))

    assert not now(ana).has_usable_password()
    assert not Authenticator.objects.filter(user=ana).exists()
    assert analyst.get("/account/preferences/").status_code == 302
    event = last()
    link = page.select_one("#link")["value"]  # type: ignore[index]
    assert (event.action, event.targets) == ("team:reset_sign_in", ["ana"])
    assert str(link).split("/")[-2] not in str(event.detail)
    opened = Client().get(link, follow=True)
    assert "Choose your password" in opened.content.decode()


def test_every_page_that_changes_something_asks_who_one_is_after_a_while(admin: Client, ana: Member) -> None:
    later = time.time() + 11 * 60
    pages = [
        url_of(ana),
        reverse("team:reset_sign_in", args=[ana.pk]),
        reverse("team:new_role"),
        reverse("team:invite"),
    ]
    with time_machine.travel(later, tick=False):
        for address in pages:
            answers = (admin.get(address), admin.post(address, form(ana, role="viewer")))
            assert [one["Location"].partition("?")[0] for one in answers] == [reverse("account_reauthenticate")] * 2
        ended = admin.post(reverse("team:end_sessions", args=[ana.pk]))
        assert ended["Location"].startswith(reverse("account_reauthenticate"))

    assert now(ana).role == "analyst"
    assert not AuditEvent.objects.filter(action__startswith="team:").exists()
