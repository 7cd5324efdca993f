"""Whom a message names, and which of them would hit strangers."""

from __future__ import annotations

import pytest

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from investigate.rules.candidates import candidates_of
from investigate.rules.plan import choices, first_possible


def named(**values: str | None) -> list[tuple[str, str, str]]:
    message = Message(id="m", **values)  # type: ignore[arg-type]
    return [(one.name, one.pattern, ", ".join(one.places)) for one in candidates_of(message)]


def test_each_address_and_its_domain_stands_once_with_every_place() -> None:
    assert named(
        from_="Billing@Pay-Pal.example", envelope_from="bounce@mta.pay-pal.example", replyto="billing@pay-pal.example "
    ) == [
        ("from", "billing@pay-pal.example", "From, Reply-To"),
        ("from-domain", "pay-pal.example", "From, Reply-To"),
        ("envelope", "bounce@mta.pay-pal.example", "Envelope"),
        ("envelope-domain", "mta.pay-pal.example", "Envelope"),
    ]


@pytest.mark.parametrize("nothing", [None, "", "  ", "no-domain", "a@", "<>"])
def test_what_names_nobody_gives_no_candidate(nothing: str | None) -> None:
    assert named(from_=nothing, envelope_from=nothing, replyto=nothing) == []


def test_a_domain_in_other_letters_stands_in_the_form_in_which_mail_carries_it() -> None:
    assert named(from_="a@päypal.example")[0] == ("from", "a@xn--pypal-gra.example", "From")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("x@gmail.com", "Anybody gets an address at gmail.com"),
        ("bounce@em123.sendgrid.net", "sends mail for thousands of companies"),
        ("x@co.uk", "is no company's domain"),
    ],
)
def test_a_domain_of_strangers_is_for_the_full_form_alone(ana: Member, pia: Member, address: str, told: str) -> None:
    message = Message(id="m", from_=address)
    mailbox, domain = choices(message, ana)
    assert mailbox.is_possible, "one address hits nobody else"
    assert told in domain.why_not
    assert not domain.full_form
    assert first_possible([mailbox, domain]) == mailbox
    assert choices(message, pia)[1].full_form.startswith("/settings/block-senders/new?pattern=")
    assert choices(message, pia)[1].why_not, "nobody does it without the second click of the full form"
