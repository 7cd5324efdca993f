"""Ending the protection of a domain takes two people, whichever way anybody tries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member, TeamRole
from dashboard.access.roles import Permission, Role
from dashboard.access.sessions import PROVED
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import SettingsEntry
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from settings_ui.changes import rights, services, words
from settings_ui.changes.sweep import sweep_changes
from settings_ui.entries.life import Life
from settings_ui.models import Change, ChangeKind, ChangeState, LineState, Verb

from .conftest import DOMAINS, ENTRIES, calls, key, pass_by, stand, the_line, worked

Ask = Callable[..., Change]


@pytest.fixture(autouse=True)
def takes_two(settings: Any) -> None:
    settings.SECOND_PERSON = frozenset({"unprotect"})


def member(name: str, role: str = Role.POLICY_MANAGER, email: str = "") -> Member:
    address = email or f"{name}@corp.example"
    return Member.objects.create_user(name, address, "correct horse battery", role=role, first_name=name.title())


@pytest.fixture
def paul(db: None) -> Member:
    """A second policy manager."""
    return member("paul")


@pytest.fixture
def domains(emailsec: Simulator) -> list[SettingsEntry]:
    return list(get_client().entries("domains").items[:2])


@pytest.fixture
def ask(pia: Member, domains: list[SettingsEntry], take_away: Ask) -> Ask:
    def request(number: int = 1, **what: Any) -> Change:
        entries = domains[:number]
        typed = [entry.values()["domain"] for entry in entries]
        return take_away(pia, entries, **({"resource": DOMAINS, "typed": typed, "reason": "sold"} | what))

    return request


def approved(change: Change, by: Member, **what: Any) -> Change:
    given = {"fingerprint": change.fingerprint, "comment": "", "request": None} | what
    return services.approve(actor=by, change=change, **given)


def test_it_waits_for_somebody_else_and_then_out_its_undo_window(
    emailsec: Simulator, ask: Ask, paul: Member, domains: list[SettingsEntry]
) -> None:
    change = ask(2)
    assert change.state == ChangeState.AWAITING_APPROVAL
    assert "2 domains" in change.why_two
    assert worked(change, after=60).state == ChangeState.AWAITING_APPROVAL
    sweep_changes()
    assert calls(emailsec, "domains.*") == calls(emailsec, "domains.list")
    change = approved(change, paul, comment="checked with sales")
    assert (change.state, change.decided_by_id) == (ChangeState.WAITING, paul.pk)
    assert worked(change, after=2).state == ChangeState.WAITING
    change = worked(change, after=10)
    assert change.state == ChangeState.DONE
    assert not {entry.id for entry in domains} & set(stand(emailsec, "domains"))
    assert calls(emailsec, "domains.bulk_delete") == 0
    rows = AuditEvent.objects.filter(action__in=["policy:remove", "policy:approve"]).order_by("sequence")
    assert [(row.action, row.phase, row.actor_id) for row in rows] == [
        ("policy:remove", "attempt", change.actor_id),
        ("policy:approve", "attempt", paul.pk),
        ("policy:remove", "done", None),
    ]


def test_nobody_approves_their_own(emailsec: Simulator, ask: Ask, pia: Member, domains: list[SettingsEntry]) -> None:
    change = ask()
    twin = member("pia2", email="PIA+desk@corp.example")
    for own in (pia, twin):
        with pytest.raises(services.NotYours, match="yourself"):
            approved(change, own)
        with pytest.raises(services.NotYours):
            services.refuse(actor=own, change=change, comment="no", request=None)
    with pytest.raises(IntegrityError), transaction.atomic():
        Change.objects.filter(pk=change.pk).update(decided_by=pia)
    change.refresh_from_db()
    assert change.state == ChangeState.AWAITING_APPROVAL


def test_only_who_may_end_a_protection_approves_it(ask: Ask, ana: Member, ben: Member) -> None:
    change = ask()
    for other in (ana, ben):
        with pytest.raises(services.NotYours, match="You lack the right"):
            approved(change, other)
    limited = member("lara")
    Member.objects.filter(pk=limited.pk).update(domains=["corp.example"])
    limited.refresh_from_db()
    with pytest.raises(services.NotYours, match="limited"):
        approved(change, limited)


def test_what_is_approved_is_what_was_shown(ask: Ask, paul: Member, domains: list[SettingsEntry]) -> None:
    change = ask()
    for fingerprint in ("", "0" * 64):
        with pytest.raises(services.Conflict, match="not what you were shown"):
            approved(change, paul, fingerprint=fingerprint)
    change.lines.update(upstream_id=domains[1].id)
    with pytest.raises(services.Conflict, match="not what you were shown"):
        approved(change, paul)
    change.refresh_from_db()
    assert change.state == ChangeState.AWAITING_APPROVAL


def test_a_second_click_changes_nothing_and_a_third_person_comes_too_late(ask: Ask, paul: Member) -> None:
    change = ask()
    first, again = approved(change, paul), approved(change, paul)
    assert (first.decided_at, first.due_at) == (again.decided_at, again.due_at)
    with pytest.raises(services.Conflict, match="Paul approved this already"):
        approved(change, member("petra"))


def test_a_request_expires(ask: Ask, paul: Member) -> None:
    change = ask()
    pass_by(change, 25 * 3600)
    with pytest.raises(services.Conflict, match="expired"):
        approved(change, paul)
    sweep_changes()
    change.refresh_from_db()
    assert (change.state, the_line(change).state) == (ChangeState.CANCELLED, LineState.CANCELLED)
    assert "Nobody approved it in time" in words.sentence(change)


def test_a_refusal_says_why_and_frees_the_domain(ask: Ask, paul: Member) -> None:
    change = ask()
    with pytest.raises(services.NotPossible, match="Say why"):
        services.refuse(actor=paul, change=change, comment=" ", request=None)
    change = services.refuse(actor=paul, change=change, comment="Still in use.", request=None)
    assert (change.state, change.explanation) == (ChangeState.CANCELLED, "Refused by Paul: Still in use.")
    with pytest.raises(services.Conflict, match="Refused by Paul"):
        approved(change, member("petra"))
    assert ask().state == ChangeState.AWAITING_APPROVAL, "it can be asked for again"


def test_who_asked_withdraws_it(ask: Ask, pia: Member, paul: Member) -> None:
    change = services.cancel(actor=pia, change=ask(), request=None)
    assert (change.state, change.explanation) == (ChangeState.CANCELLED, "Withdrawn by Pia.")
    with pytest.raises(services.Conflict, match="Withdrawn"):
        approved(change, paul)


@pytest.mark.parametrize("who", ["asker", "approver"])
def test_both_can_undo_it_while_it_waits(emailsec: Simulator, ask: Ask, pia: Member, paul: Member, who: str) -> None:
    change = approved(ask(), paul)
    change = services.undo(actor=pia if who == "asker" else paul, change=change, request=None)
    assert worked(change, after=60).state == ChangeState.CANCELLED
    assert calls(emailsec, "domains.delete") == 0


@pytest.mark.parametrize("who", ["asker", "approver"])
@pytest.mark.parametrize("how", ["role", "is_active", "domains"])
def test_a_right_that_was_lost_in_between_sends_nothing(
    emailsec: Simulator, ask: Ask, pia: Member, paul: Member, who: str, how: str
) -> None:
    change = approved(ask(), paul)
    lost: dict[str, Any] = {"role": Role.VIEWER, "is_active": False, "domains": ["corp.example"]}
    Member.objects.filter(pk=(pia if who == "asker" else paul).pk).update(**{how: lost[how]})
    change = worked(change, after=60)
    assert (change.state, calls(emailsec, "domains.delete")) == (ChangeState.FAILED, 0)
    assert "no longer has the right" in words.sentence(change)


def test_who_may_not_ask_any_more_gets_nothing_approved(ask: Ask, pia: Member, paul: Member) -> None:
    change = ask()
    Member.objects.filter(pk=pia.pk).update(role=Role.VIEWER)
    with pytest.raises(services.Conflict, match="no longer has the right to ask"):
        approved(change, paul)


def test_an_approval_lapses(emailsec: Simulator, ask: Ask, paul: Member, settings: Any) -> None:
    change = approved(ask(), paul)
    settings.APPROVAL_HOURS = 0
    change = worked(change, after=60)
    assert (change.state, calls(emailsec, "domains.delete")) == (ChangeState.FAILED, 0)


def test_accounts_that_became_one_mailbox_are_one_person(
    emailsec: Simulator, ask: Ask, pia: Member, paul: Member
) -> None:
    change = approved(ask(), paul)
    Member.objects.filter(pk=paul.pk).update(email=pia.email.upper())
    assert worked(change, after=60).state == ChangeState.FAILED
    assert calls(emailsec, "domains.delete") == 0


@pytest.mark.parametrize("typed", [[], ["corp.example.org"], ["", " "]])
def test_the_names_are_typed(ask: Ask, typed: list[str]) -> None:
    with pytest.raises(services.NotPossible, match="Type the name"):
        ask(typed=typed)
    assert not Change.objects.exists()


def test_one_typed_name_does_not_stand_for_two(ask: Ask, domains: list[SettingsEntry]) -> None:
    with pytest.raises(services.NotPossible):
        ask(2, typed=[domains[0].values()["domain"]])


def test_where_nothing_takes_two_the_special_right_is_needed(
    emailsec: Simulator, ask: Ask, pia: Member, settings: Any
) -> None:
    settings.SECOND_PERSON = frozenset()
    TeamRole.objects.create(
        name="writer", label="Writer", permissions=[Permission.DOMAIN_WRITE.value, Permission.POLICY_READ.value]
    )
    writer = member("will", "writer")
    domain = get_client().entries("domains").items[0]
    with pytest.raises(PermissionDenied, match="domain:unprotect"):
        services.remove(
            actor=writer,
            resource=DOMAINS,
            entries=[domain],
            typed=[domain.values()["domain"]],
            operation_key=key(),
            request=None,
        )
    assert worked(ask(), after=60).state == ChangeState.DONE


def test_two_that_become_needed_in_between_are_needed(emailsec: Simulator, ask: Ask, settings: Any) -> None:
    settings.SECOND_PERSON = frozenset()
    change = ask()
    assert change.state == ChangeState.WAITING
    settings.SECOND_PERSON = frozenset({"unprotect"})
    change = worked(change, after=60)
    assert (change.state, calls(emailsec, "domains.delete")) == (ChangeState.FAILED, 0)
    assert "second person" in words.sentence(change)


def test_a_domain_that_is_about_to_go_is_not_edited_meanwhile_and_one_that_was_is_kept(
    emailsec: Simulator, ask: Ask, pia: Member, paul: Member, domains: list[SettingsEntry]
) -> None:
    change, domain = ask(), domains[0]
    with pytest.raises(services.Conflict, match="Pia is changing"):
        services.edit(
            actor=paul,
            resource=DOMAINS,
            entry_id=domain.id,
            before=domain.values(),
            after={**domain.values(), "lookback_hops": 9},
            operation_key=key(),
            request=None,
        )
    stand(emailsec, "domains")[domain.id]["lookback_hops"] = 9
    change = worked(approved(change, paul), after=60)
    assert (change.state, the_line(change).explanation) == (ChangeState.FAILED, words.CHANGED)
    assert domain.id in stand(emailsec, "domains")


def test_an_approval_of_another_account_is_none(ask: Ask, paul: Member) -> None:
    change = ask()
    Change.objects.update(account_id="9" * 32)
    with pytest.raises(services.Conflict, match="another account"):
        approved(change, paul)


def test_the_page_shows_exactly_what_goes_and_takes_the_decision(
    emailsec: Simulator,
    ask: Ask,
    paul: Member,
    policy_manager: Client,
    analyst: Client,
    soup: Callable[[HttpResponse], BeautifulSoup],
) -> None:
    change = ask()
    address = reverse("settings:change", args=[change.pk])
    second = Client()
    second.force_login(paul)
    page: Any = soup(second.get(address))
    name = the_line(change).label
    assert name in page.select_one("#lines").text
    assert "cannot be undone" in page.select_one(".about").text
    own: Any = soup(policy_manager.get(address))
    assert not own.select("form[action$=approve]")
    assert "Withdraw" in own.select_one("form[action$=cancel]").text
    assert "You lack the right" in soup(analyst.get(address)).text
    assert analyst.post(reverse("settings:approve", args=[change.pk])).status_code == 403
    assert policy_manager.post(reverse("settings:approve", args=[change.pk])).status_code == 403
    form = page.select_one("#request-decide form")
    refused = second.post(reverse("settings:refuse", args=[change.pk]), {"comment": ""})
    assert (refused.status_code, "Say why" in refused.content.decode()) == (422, True)
    values = {one["name"]: one.get("value", "") for one in form.select("input[name]")}
    assert second.post(form["action"], {**values, "comment": "<i>fine</i>"}).status_code == 303
    assert worked(change, after=60).state == ChangeState.DONE
    done: Any = soup(second.get(address))
    assert "<i>fine</i>" in done.select_one(".about").text


def test_who_decides_has_just_proved_who_they_are(ask: Ask, paul: Member) -> None:
    change = ask()
    second = Client()
    second.force_login(paul)
    session = second.session
    session[PROVED] = 0
    session.save()
    answer = second.post(reverse("settings:approve", args=[change.pk]), {"fingerprint": change.fingerprint})
    assert answer.status_code in (302, 401)
    change.refresh_from_db()
    assert change.state == ChangeState.AWAITING_APPROVAL
    page = second.get(reverse("settings:change", args=[change.pk])).content.decode()
    assert "proves first" in page


@pytest.mark.parametrize("what", ["approve", "refuse"])
def test_who_may_not_see_the_settings_learns_nothing_by_deciding(
    ask: Ask, browser_with: Callable[..., Client], what: str
) -> None:
    change = ask()
    decider = browser_with(Permission.APPROVAL_DECIDE, Permission.DOMAIN_UNPROTECT)
    answer = decider.post(reverse(f"settings:{what}", args=[change.pk]), {"comment": "x" * 1001})
    assert answer.status_code == 403
    assert the_line(change).label not in answer.content.decode()


@pytest.mark.parametrize(("comment", "status"), [("checked with sales", 409), ("y" * 1001, 422)])
def test_a_comment_survives_what_stood_in_the_way(
    ask: Ask, paul: Member, soup: Callable[[HttpResponse], BeautifulSoup], comment: str, status: int
) -> None:
    change = ask()
    second = Client()
    second.force_login(paul)
    answer = second.post(reverse("settings:approve", args=[change.pk]), {"fingerprint": "0" * 64, "comment": comment})
    assert answer.status_code == status
    form: Any = soup(answer).select_one("#request-decide form")
    assert form.select_one("[name=comment]").text.strip() == comment
    assert form.select_one("[name=fingerprint]")["value"] == change.fingerprint, "what is shown now can be approved"
    assert form.select_one(".errors, .error")


def test_the_right_to_remove_is_the_lower_one_only_where_two_decide(settings: Any) -> None:
    assert rights.to_remove(DOMAINS) == Permission.DOMAIN_WRITE
    settings.SECOND_PERSON = frozenset()
    assert rights.to_remove(DOMAINS) == Permission.DOMAIN_UNPROTECT


def test_the_protection_of_a_domain_ends_on_no_day(emailsec: Simulator, pia: Member, add: Ask) -> None:
    values = ENTRIES["domains"][0]
    life = Life(pia.pk, expires_at=timezone.now() + dt.timedelta(days=1))
    with pytest.raises(services.NotPossible, match="has no end"):
        add(pia, values, resource=DOMAINS, life=life)
    drafted = services.draft(
        actor=pia,
        resource=DOMAINS,
        kind=ChangeKind.IMPORT,
        lines=[services.Draft(2, Verb.ADD, values["domain"], values=values, life=life)],
        operation_key=key(),
        request=None,
    )
    line = drafted.lines.get()
    assert (line.verb, line.state) == (Verb.BAD, LineState.LEFT_OUT)
    assert "has no end" in line.explanation
    assert calls(emailsec, "domains.*") == 0
